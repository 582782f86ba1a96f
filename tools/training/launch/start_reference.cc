#include "tools/training/launch/start_reference.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/checkpoint_download.h"
#include "tools/interchange/wandb_reference.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

absl::Status FetchStartReferences(const std::string& run_folder, const absl::StatusOr<std::string>& wandb_core,
                                  TrainFlags* flags) {
  const CheckpointServer server = {wandb_core, CurrentEnvironment(), {}};
  for (const auto& [name, value] :
       {std::pair("--init_from", &flags->init_from), std::pair("--resume_from", &flags->resume_from)}) {
    if (!IsWandbReference(*value)) continue;
    const CheckpointStore store(SystemFileOps(), RunFolder(run_folder).checkpoints_path());
    ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.List());
    // A step that is replayed may be one from before the first checkpoint.
    if (!steps.empty() && flags->replay_step == 0) continue;
    const absl::StatusOr<std::string> path = FindCheckpoint(*value, server);
    if (!path.ok()) return Annotate(path.status(), name);
    *value = *path;
  }
  return absl::OkStatus();
}

}  // namespace cubist
