// A FlatOptimizer to checkpoints and back.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_OPTIMIZER_STATE_H_
#define CUBIST_TOOLS_TRAINING_LOOP_OPTIMIZER_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/host_tensor.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {

// Writes `source` into the target's tensor, whose shape it must have. DataError naming `from` and the tensor.
absl::Status CopyInto(const HostTensor& source, const std::string& from, const NamedTensor& target);

// Every tensor of a group of the optimizer from the checkpoint, and none left over. Errors name file and tensor:
// StorageError, and those of reading `checkpoint`.
absl::Status RestoreGroup(const AnyCheckpoint& checkpoint, const FlatOptimizer& optimizer, const std::string& group);
// The same of all groups.
absl::Status RestoreOptimizer(const AnyCheckpoint& checkpoint, const FlatOptimizer& optimizer);

// Groups of the optimizer in host memory; the groups point into the copies.
struct HostOptimizerState {
  std::vector<TensorGroup> groups;
  std::vector<HostTensor> copies;
};
HostOptimizerState CopyOptimizer(const FlatOptimizer& optimizer, const std::vector<std::string>& groups);
// Those that `rank` has to give to SaveByRanks().
HostOptimizerState CopyForSaving(const FlatOptimizer& optimizer, int rank);

// Bytes that a checkpoint's tensors will take.
uint64_t BytesToSave(const FlatOptimizer& optimizer);

// OK if all that the optimizer holds is the same on every rank, which all call this. PeerLostError naming tensors
// and ranks otherwise.
absl::Status CompareOptimizers(Communicator& communicator, int64_t step, const FlatOptimizer& optimizer);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_OPTIMIZER_STATE_H_
