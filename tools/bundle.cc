// Packs the programs with the libraries they need into one folder that runs on machines without Bazel:
//   bundle --output DIR [--libtorch] [--programs A,B,...]
#include "tools/deployment/bundle.h"

#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/deployment/bundle_sources.h"
#include "tools/interchange/terminal_progress.h"
#include "tools/training/launch/worker_location.h"

namespace cubist {
namespace {

absl::Status Run(const std::string& argv0, const std::vector<std::string>& programs, bool with_libtorch,
                 const std::string& output) {
  ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  ASSIGN_OR_RETURN(const BundleSources sources,
                   FindBundleSources(program, argv0, CurrentEnvironment(), programs, with_libtorch));
  ASSIGN_OR_RETURN(const BundlePlan plan, PlanBundle(sources));
  TerminalProgress progress;
  RETURN_IF_ERROR(WriteBundle(SystemFileOps(), plan, output, progress.Callback()));
  progress.Clear();
  std::fputs(DescribeBundle(plan, output).c_str(), stdout);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  std::string output;
  std::vector<std::string> programs;
  bool with_libtorch = false;
  CLI::App app(
      "Packs the programs with the shared libraries they need, the configs and the licences into one folder.\n"
      "It runs on machines with neither Bazel nor the source, wherever it is moved to.",
      "bundle");
  app.add_option("--output", output, "Folder to make; it must not exist yet")->required()->option_text("DIR REQUIRED");
  app.add_flag("--libtorch", with_libtorch,
               "Also pack LibTorch and CUDA's libraries, 3.6 GB: hard links where possible, else copies");
  app.add_option("--programs", programs, "Programs to pack, by name and separated by commas; left out, all")
      ->delimiter(',')
      ->option_text("A,B,...");
  app.footer(
      "\nWithout LibTorch the nodes have to provide it; how is printed, and stands in DIR/MANIFEST, which also lists\n"
      "each file: `sha256sum --check --quiet MANIFEST` in DIR says whether all is whole. glibc and NVIDIA's driver "
      "are\n"
      "the nodes' own.\n"
      "\nExit codes: 0 done; 2 bad flag, or something to pack is not there; 6 the folder cannot be written;\n"
      "75 stopped, and nothing was written.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    return FinishProgram("bundle", ConfigError(absl::StrCat(error.what(), "; see --help")));
  }
  return FinishProgram("bundle", Run(argv[0], programs, with_libtorch, ResolvePath(output)));
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
