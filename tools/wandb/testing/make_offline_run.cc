// make_offline_run FOLDER: an offline run in FOLDER/wandb, with rows, a picture, a line, a summary and an artifact.
#include <cstdio>

#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/wandb_run.h"

namespace cubist {
namespace {

absl::Status Make(const std::string& folder) {
  TestCore core = StartTestCore(folder + "/core");
  WandbRunOptions options;
  options.credentials.mode = WandbMode::kOffline;
  options.entity = "team";
  options.project = "roads";
  options.name = "made offline";
  options.id = "offline1";
  options.config = {{"lr", "0.5"}};
  options.folder = folder;
  ASSIGN_OR_RETURN(const std::unique_ptr<WandbRun> run, WandbRun::Open(SystemFileOps(), *core.client, options));
  double loss = 1;
  for (const int64_t step : {0, 10, 20}) {
    RETURN_IF_ERROR(run->LogRow(step, {{"loss", loss}}));
    loss /= 2;
  }
  RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), folder + "/picture.png", TestPng()));
  RETURN_IF_ERROR(run->LogImage("view", 20, folder + "/picture.png", "caption"));
  RETURN_IF_ERROR(run->LogConsole("a line"));
  RETURN_IF_ERROR(run->SetSummary("best", "0.25"));
  RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), folder + "/weights", "weights"));
  RETURN_IF_ERROR(run->LogArtifact({"model-offline1", "model", {{"weights", folder + "/weights"}}, {"latest", "last"}},
                                   nullptr, [](const absl::Status&) {}));
  RETURN_IF_ERROR(run->Finish(0, std::chrono::seconds(60)));
  return core.End();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return cubist::FinishProgram("make_offline_run", cubist::Make(argv[1]));
}
