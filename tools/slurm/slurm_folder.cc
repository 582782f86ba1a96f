#include "tools/slurm/slurm_folder.h"

#include <cstdio>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"

namespace cubist {

std::string SlurmFolder::logs_path(int slot) const { return absl::StrFormat("%s/logs/slot-%04d", run_, slot); }

absl::StatusOr<int64_t> NewestStep(const SlurmFolder& folder) {
  const CheckpointStore store(SystemFileOps(), folder.checkpoints_path());
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.List());
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (store.Load(*step).ok()) return *step;
  }
  return int64_t{0};
}

absl::StatusOr<int64_t> NewestVerifiedStep(const SlurmFolder& folder, int64_t known_good) {
  const CheckpointStore store(SystemFileOps(), folder.checkpoints_path());
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.List());
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (*step == known_good) return *step;
    const absl::StatusOr<Checkpoint> checkpoint = store.Load(*step);
    const absl::Status status = checkpoint.ok() ? checkpoint->Verify() : checkpoint.status();
    if (status.ok()) return *step;
    std::fprintf(stderr, "slurm_launch: no progress is counted for a checkpoint that does not verify: %s\n",
                 std::string(status.message()).c_str());
  }
  return int64_t{0};
}

}  // namespace cubist
