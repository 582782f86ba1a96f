#include "data_process/inspection/inspect_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "configs/loader.h"

namespace cubist {
namespace {

constexpr char kDescription[] =
    "Says what a folder of clips holds, what is missing and what is broken, and draws contact sheets.";

constexpr char kFooter[] = R"(Examples:
  inspect data
  # every member and frame instead of the first and last, and a picture of each clip
  inspect data --full --sheet sheets
  # also name what a recipe reads and no clip has
  inspect data --config configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto
  # two clips in one picture
  inspect data --clips 13679757109245957439_4167_170_4187_170,10061305430875486848_1080_000_1100_000 --contact_sheet clips.png

Exit codes: 0 all clips have all attributes and frames, and what was read is sound; 2 bad flag or config; 3 something is
missing or broken, or there is no data; 6 a file cannot be written; 70 a bug in Cubist; 75 stopped.)";

void DefineFlags(CLI::App* app, InspectFlags* flags, std::string* config) {
  const CLI::Validator not_empty(
      [](std::string& text) { return std::string(text.empty() ? "the value is empty" : ""); }, "");
  const auto path = [&](const char* name, std::string* value, const char* type, const char* help) {
    return app->add_option(name, *value, help)->type_name(type)->check(not_empty);
  };
  path("data_root", &flags->data_root, "DATA_ROOT", "Folder that holds one folder an attribute")->required();
  app->add_option("--clips", flags->clips, "Look at these clips only, separated by commas")
      ->type_name("IDS")
      ->delimiter(',')
      ->check(not_empty)
      ->allow_extra_args(false);
  app->add_flag("--full", flags->full, "Decode every member, file and frame");
  path("--config", config, "FILE", "Ask for the attributes of this recipe's data, and read by its data.limits");
  path("--json", &flags->json, "FILE", "Also write all that is found as JSON");
  path("--sheet", &flags->sheet, "DIR",
       "Write a contact sheet <clip>.png for each clip: its first, middle, last frame");
  path("--contact_sheet", &flags->contact_sheet, "FILE",
       "Write one PNG with the middle frame of each clip, of the first 16");
  app->add_option("--threads", flags->threads, "Threads; 0: one a CPU. What is said does not depend on it")
      ->check(CLI::Range(0, 1024).description(""))
      ->type_name("N");
}

}  // namespace

absl::StatusOr<InspectFlags> ParseInspectFlags(int argc, const char* const* argv) {
  InspectFlags flags;
  std::string config;
  CLI::App app(kDescription, "inspect");
  app.set_help_flag("--help,-h", "Print this and exit");
  app.footer(kFooter);
  app.get_formatter()->column_width(26);
  try {
    DefineFlags(&app, &flags, &config);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    InspectFlags help;
    help.help = app.help();
    return help;
  } catch (const CLI::Error& error) {
    return ConfigError(absl::StrCat(error.what(), "\nRun inspect --help for all flags."));
  }
  for (std::string* path : {&flags.data_root, &flags.json, &flags.sheet, &flags.contact_sheet}) {
    *path = ResolvePath(*path);
  }
  if (!config.empty()) {
    ASSIGN_OR_RETURN(const ValidatedExperiment experiment,
                     LoadExperiment(ResolvePath(config), {}, {{"DATA_ROOT", "data.data_root", flags.data_root}}));
    const Data& data = experiment.proto().data();
    flags.attributes.assign(data.attributes().begin(), data.attributes().end());
    flags.limits = data.limits();
  }
  if (!flags.contact_sheet.empty() && !absl::EndsWithIgnoreCase(flags.contact_sheet, ".png")) {
    return ConfigError(absl::StrCat("--contact_sheet writes a PNG: '", flags.contact_sheet, "' must end in .png"));
  }
  if (flags.threads == 0) flags.threads = ParallelThreads();
  return flags;
}

}  // namespace cubist
