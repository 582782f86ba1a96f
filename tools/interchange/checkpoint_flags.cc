#include "tools/interchange/checkpoint_flags.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr char kDescription[] =
    "Looks into checkpoints, compares, verifies and converts them: ours, .ckpt and .pth files of the\n"
    "reference, and .safetensors files.";

constexpr char kFooter[] = R"(
A checkpoint (REF) is named by a run's folder (its newest), RUN:STEP, RUN:best, RUN:last, a
checkpoint's folder, a file, or wdb:[ENTITY/]PROJECT/RUN[:WHICH]: a run by its W&B name or id, from
this machine, or else downloaded from the server. WHICH: last, last_auto, best, or a step.

Examples:
  checkpoint show runs/vae
  checkpoint show last.ckpt --match 'encoder.*.weight' --json last.json
  checkpoint diff runs/vae:5000 runs/vae
  checkpoint verify runs/vae exported.safetensors
  checkpoint convert last.ckpt runs/from_reference
  checkpoint log runs/vae

Exit codes: 0 done; 1 diff found differences; 2 bad flag or reference, or an output that exists;
3 a file is damaged; 5 the server did not tell, or a download was cut; 6 a checkpoint of ours is
damaged, or an output cannot be written; 70 a bug in Cubist; 75 stopped by a signal. After an error
no output is there.)";

void DefineFlags(CLI::App* app, CheckpointFlags* flags) {
  const CLI::Validator not_empty(
      [](std::string& text) { return std::string(text.empty() ? "the value is empty" : ""); }, "");
  const auto reference = [&](CLI::App* command, const char* name, std::string* value, const char* help) {
    command->add_option(name, *value, help)->required()->check(not_empty)->type_name("");
  };
  const auto json = [&](CLI::App* command, const char* help) {
    command->add_option("--json", flags->json, help)->type_name("FILE")->check(not_empty);
  };
  flags->references.resize(2);

  CLI::App* show = app->add_subcommand("show", "Say what it is and draw its tensors as a tree, with their statistics");
  reference(show, "REF", &flags->references[0], "Checkpoint");
  show->add_flag("--no_statistics", flags->no_statistics, "Read no tensors: shapes and sizes only");
  show->add_option("--group", flags->overview.group, "Only model, ema or optimizer")
      ->type_name("GROUP")
      ->check(not_empty);
  show->add_option("--match", flags->overview.match,
                   "Only tensors with this in their names, or of this pattern with * ? [...]")
      ->type_name("TEXT")
      ->check(not_empty);
  show->add_option("--depth", flags->overview.depth, "Draw so many levels of the tree and sum up what is below")
      ->type_name("N")
      ->check(CLI::Range(1, 64).description(""));
  json(show, "Also write everything as JSON, every tensor by itself");

  CLI::App* diff = app->add_subcommand("diff", "Say what differs between two: tensors, config, state of the run");
  reference(diff, "A", &flags->references[0], "Checkpoint");
  reference(diff, "B", &flags->references[1], "Checkpoint");
  diff->add_option("--tolerance", flags->tolerance, "Absolute differences up to X are no change")
      ->type_name("X")
      ->check(CLI::Validator(
          [](const std::string& text) {
            double number = 0;
            return std::string(CLI::detail::lexical_cast(text, number) && number >= 0 && std::isfinite(number)
                                   ? ""
                                   : "must be 0 or more");
          },
          ""));
  json(diff, "Also write all differences as JSON");

  CLI::App* verify = app->add_subcommand("verify", "Read everything and compare it with its checksums");
  verify->add_option("REF", flags->references, "Checkpoints; of a run's folder all that it has")
      ->required()
      ->check(not_empty)
      ->type_name("");

  CLI::App* convert = app->add_subcommand("convert", "Write it in another format");
  reference(convert, "INPUT", &flags->references[0], "Checkpoint");
  convert
      ->add_option("OUTPUT", flags->output,
                   "File .ckpt or .pth (for the reference), .safetensors, or else a new run's folder")
      ->required()
      ->check(not_empty)
      ->type_name("");
  convert->add_flag("--weights_only", flags->conversion.weights_only, "Leave out averages and the optimizer's state");
  convert->add_flag("--ema", flags->conversion.averages, "The moving averages in the place of the weights, alone");
  convert->add_option("--config", flags->conversion.config, "Textproto for a checkpoint that comes without a config")
      ->type_name("FILE")
      ->check(not_empty);
  convert->add_flag("--overwrite", flags->conversion.overwrite, "Replace a file that exists");

  CLI::App* log = app->add_subcommand("log", "Tell what it came from, newest first");
  reference(log, "REF", &flags->references[0], "Checkpoint");
  json(log, "Also write it as JSON");
}

}  // namespace

absl::StatusOr<CheckpointFlags> ParseCheckpointFlags(int argc, const char* const* argv) {
  CheckpointFlags flags;
  CLI::App app(kDescription, "checkpoint");
  app.set_help_flag("--help,-h", "Print this and exit");
  app.footer(kFooter);
  app.get_formatter()->column_width(26);
  app.require_subcommand(1);
  try {
    DefineFlags(&app, &flags);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    CheckpointFlags help;
    const std::vector<CLI::App*> commands = app.get_subcommands();
    help.help = commands.empty() ? app.help("", CLI::AppFormatMode::All) : commands[0]->help();
    return help;
  } catch (const CLI::Error& error) {
    return ConfigError(absl::StrCat(error.what(), "\nRun checkpoint --help for all flags."));
  }
  flags.overview.statistics = !flags.no_statistics;
  flags.command = app.get_subcommands()[0]->get_name();
  if (flags.command != "verify") flags.references.resize(flags.command == "diff" ? 2 : 1);
  for (std::string* path : {&flags.output, &flags.json, &flags.conversion.config}) *path = ResolvePath(*path);
  return flags;
}

}  // namespace cubist
