// Runs of Weights & Biases that were kept on this machine, uploaded: what `wandb sync` does.
#ifndef CUBIST_TOOLS_WANDB_OFFLINE_SYNC_H_
#define CUBIST_TOOLS_WANDB_OFFLINE_SYNC_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/wandb/core_client.h"
#include "tools/wandb/credentials.h"

namespace cubist {

struct OfflineRun {
  std::string log;        // the .wandb file
  bool uploaded = false;  // as the mark beside it says
};

// The runs at `path`: a .wandb file, the folder of a run, a folder with folders offline-run-* and run-*, or one with a
// folder wandb of them, as a training's; of the latter those that did not reach the server whole. In order of names.
// Errors: ConfigError if there is none; DataError if the folder cannot be read.
absl::StatusOr<std::vector<OfflineRun>> FindOfflineRuns(const std::string& path);

struct SyncOptions {
  WandbCredentials credentials;
  std::string entity, project;  // where the runs are to go; empty: as they say themselves
};

// Uploads one run, which must have ended, and marks it. Files that are uploaded already are so once more, unless they
// are the same. `remark` is called with what wandb-core says, `look` some times a second; an error of it ends the
// upload. Errors: DataError if the file is no run; PeerLostError with wandb-core's words if not all could be uploaded.
absl::Status UploadRun(FileOps& ops, CoreClient& client, const std::string& log, const SyncOptions& options,
                       const std::function<void(const std::string& text)>& remark,
                       const std::function<absl::Status()>& look);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_OFFLINE_SYNC_H_
