// Uploads runs of Weights & Biases that were kept offline:
//   wandb_sync RUN... [--entity NAME] [--project NAME] [--include_synced] [--json]
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status.h"
#include "tools/wandb/sync_session.h"

namespace cubist {
namespace {

int Main(int argc, char** argv) {
  std::vector<std::string> paths;
  SyncRequest request;
  bool json = false;
  CLI::App app(
      "Uploads runs of Weights & Biases that were kept on this machine: those with WANDB_MODE=offline, and\n"
      "those of which train said that not all reached the server.",
      "wandb_sync");
  app.add_option("runs", paths,
                 "Folder of a training, folder of one run in its folder wandb, or .wandb file; any number")
      ->required()
      ->option_text("RUN... REQUIRED");
  app.add_option("--entity", request.entity,
                 "Team or user to upload to; default: what the run says, else the key's own")
      ->option_text("NAME");
  app.add_option("--project", request.project, "Project to upload to; default: what the run says")->option_text("NAME");
  app.add_flag("--include_synced", request.include_synced, "Also upload runs once more that are uploaded already");
  app.add_flag("--json", json, "Print what became of each run as JSON, and nothing else, on standard output");
  app.footer(
      "\nThe key is that of WANDB_API_KEY or ~/.netrc, and the server that of WANDB_BASE_URL. Upload runs that have\n"
      "ended.\n"
      "\nExit codes: 0 all are uploaded; 2 bad flag, no run or no key; 3 a file is damaged; 5 the server could not be\n"
      "reached, or did not take all; 6 a folder cannot be written; 75 stopped by a signal.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    return FinishProgram("wandb_sync", ConfigError(absl::StrCat(error.what(), "; see --help")));
  }
  for (const std::string& path : paths) request.paths.push_back(ResolvePath(path));
  std::vector<SyncedRun> runs;
  const absl::Status status = SyncAll(argv[0], request, &runs);
  std::fputs((json ? SyncJson(runs) : SyncText(runs)).c_str(), stdout);
  return FinishProgram("wandb_sync", status);
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) { return cubist::Main(argc, argv); }
