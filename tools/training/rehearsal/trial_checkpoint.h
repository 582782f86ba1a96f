// A checkpoint that is written where a run's checkpoints will lie, read back, and compared.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_CHECKPOINT_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/communicator/communicator.h"

namespace cubist {

struct CheckpointTrial {
  uint64_t bytes = 0;
  double write_seconds = 0;  // until it is committed
  double read_seconds = 0;   // of all its tensors, with their hashes
};

// Every rank calls it; the save is that of the run (SaveByRanks), into `folder`, which is made where it is missing and
// removed again whatever happens. Rank 0 reads everything back and compares it with `contents` bit for bit. Errors,
// on all ranks alike: StorageError naming file and tensor; PeerLostError.
absl::StatusOr<CheckpointTrial> TryCheckpoint(Communicator& communicator, FileOps& ops,
                                              const CheckpointContents& contents, const std::string& folder);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_CHECKPOINT_H_
