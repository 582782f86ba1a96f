// Turns a config of the reference into one of ours:
//   import_config FILE.yaml [--include FILE]... [--set KEY=VALUE]... [--defaults FILE] [--output FILE] [--strict]
//                 [--verbose]
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/reference_config/import_report.h"

namespace cubist {
namespace {

// All that is said goes to standard error: standard output is the config's.
absl::Status Run(const std::string& file, const CompositionOptions& options, const std::string& output, bool strict,
                 bool verbose) {
  ASSIGN_OR_RETURN(const ImportReport report, ImportReferenceConfig(file, options));
  std::fputs(report.remarks.c_str(), stderr);
  if (report.without_effect > 0) {
    std::fprintf(stderr, "keys not carried over that change nothing that is computed: %d%s", report.without_effect,
                 verbose ? absl::StrCat(":\n", report.without_effect_lines).c_str() : " (--verbose lists them)\n");
  }
  if (strict && report.with_effect > 0) {
    return ConfigError(
        absl::StrCat(file, ": keys that change what is computed and cannot be carried over: ", report.with_effect));
  }
  if (output.empty()) {
    std::fputs(report.text.c_str(), stdout);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), output, report.text));
  std::fprintf(stderr, "wrote %s\n", output.c_str());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  std::string file, output, defaults;
  CompositionOptions options;
  bool strict = false, verbose = false;
  CLI::App app("Turns a YAML config of the Python reference, with all that it includes, into a textproto for train.",
               "import_config");
  app.add_option("file", file, "The reference's YAML file")->required()->option_text("FILE.yaml REQUIRED");
  app.add_option("--include", options.includes, "File to merge over the file's own includes; repeatable")
      ->option_text("FILE")
      ->allow_extra_args(false);
  app.add_option("--set", options.assignments, "Another value of a key of the reference: path.to.key=value; repeatable")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option(
         "--defaults", defaults,
         "The weakest file; default: default/param.yaml beside FILE or above it, else what the reference's says")
      ->option_text("FILE");
  app.add_option("--output", output, "File to write; default: standard output")->option_text("FILE.textproto");
  app.add_flag("--strict", strict, "Exit code 2 when a key that changes what is computed cannot be carried over");
  app.add_flag("--verbose", verbose, "Also list each key that is not carried over and changes nothing, and why");
  app.footer(
      "\nWhat cannot be carried over and changes what is computed is listed on standard error: key, value, place and "
      "why;\n"
      "then what is assumed for a key that is not there. The other keys that are not carried over are counted.\n"
      "\nExit codes: 0 done; 2 bad flag or config; 6 the output cannot be written.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    return FinishProgram("import_config", ConfigError(absl::StrCat(error.what(), "; see --help")));
  }
  for (std::string& include : options.includes) include = ResolvePath(include);
  if (!defaults.empty()) options.defaults = ResolvePath(defaults);
  return FinishProgram("import_config", Run(ResolvePath(file), options, ResolvePath(output), strict, verbose));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
