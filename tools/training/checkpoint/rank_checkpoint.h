// One checkpoint saved by all ranks together. The only target of this folder that needs LibTorch, for its
// communicator.
//
// Protocol:
//   1. Rank 0 begins the save and tells the others the temporary folder.
//   2. Each rank writes and syncs its files into it: rank 0 every group that is not split, each rank its rows
//      of a group that is.
//   3. The ranks agree that all files are written, and send their records to rank 0.
//   4. Rank 0 commits, and the ranks agree that it did.
// A failure in any step is every rank's error, the same one; rank 0 takes the pending save away, and older
// checkpoints stay. A rank that is lost is a PeerLostError with the same effect, as long as rank 0 lives; what a
// dead rank 0 leaves behind is removed by CheckpointStore::Clean at the next start.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_RANK_CHECKPOINT_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_RANK_CHECKPOINT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/communicator/communicator.h"

namespace cubist {

// Whether the ranks share the writing of a group: "optimizer" is split, by rows of each tensor, into a file a
// rank; "model" and "ema" stay one file each, for those who use them.
bool IsSplitByRanks(std::string_view group);

// What `rank` writes of a split group whose tensors are whole: of each tensor its rows, that is a range of the
// first dimension. The ranges follow each other in the order of ranks and differ by at most one row, longer
// ones first; scalars and empty tensors are rank 0's. Points into the same memory.
TensorGroup PartOfRank(const TensorGroup& group, int rank, int world_size);

// Saves and commits `contents`; every rank calls it at the same step, and it returns when all are done.
// `store`: rank 0's; null on other ranks. `ops`: of this rank. `contents.groups` hold whole tensors, which are the same
// on every rank; ranks other than 0 need to give split groups only. What is written loads at any number of ranks. With
// one rank this is store->Save(contents).
//
// Rank 0 returns the report, other ranks an empty one. Errors, on all ranks alike: StorageError when a rank cannot
// write; PeerLostError when a rank is lost meanwhile (also when that is known only after the commit).
absl::StatusOr<SaveReport> SaveByRanks(Communicator& communicator, CheckpointStore* store, FileOps& ops,
                                       const CheckpointContents& contents);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_RANK_CHECKPOINT_H_
