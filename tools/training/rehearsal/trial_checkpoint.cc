#include "tools/training/rehearsal/trial_checkpoint.h"

#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tools/training/checkpoint/rank_checkpoint.h"
#include "tools/training/communicator/gather_strings.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

absl::Status Compare(const CheckpointContents& contents, const Checkpoint& checkpoint) {
  for (const TensorGroup& group : contents.groups) {
    for (const TensorSource& tensor : group.tensors) {
      ASSIGN_OR_RETURN(const HostTensor read, checkpoint.Read(group.name, tensor.name));
      if (read.dtype() != tensor.dtype || read.shape() != tensor.shape ||
          std::memcmp(read.bytes(), tensor.data, read.byte_size()) != 0) {
        return StorageError(absl::StrCat(checkpoint.folder(), ": tensor ", tensor.name, " of ", group.name,
                                         " does not read back as it was written"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckpointTrial> SaveAndRead(Communicator& communicator, FileOps& ops,
                                            const CheckpointContents& contents, const std::string& folder) {
  CheckpointTrial trial;
  CheckpointStore store(ops, folder);
  const bool is_first_rank = communicator.rank() == 0;
  auto begin = Clock::now();
  ASSIGN_OR_RETURN(const SaveReport report, SaveByRanks(communicator, is_first_rank ? &store : nullptr, ops, contents));
  trial.bytes = report.bytes;
  trial.write_seconds = SecondsSince(begin);
  if (!is_first_rank) return trial;
  begin = Clock::now();
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, store.Load(contents.state.step()));
  RETURN_IF_ERROR(Compare(contents, checkpoint));
  trial.read_seconds = SecondsSince(begin);
  return trial;
}

}  // namespace

absl::StatusOr<CheckpointTrial> TryCheckpoint(Communicator& communicator, FileOps& ops,
                                              const CheckpointContents& contents, const std::string& folder) {
  const absl::StatusOr<CheckpointTrial> trial = SaveAndRead(communicator, ops, contents, folder);
  absl::Status status = trial.status();
  if (communicator.rank() == 0) {
    const absl::Status removed = RemoveTree(ops, folder);
    if (status.ok()) status = removed;
  }
  // What rank 0 alone found, reading.
  RETURN_IF_ERROR(AgreeOnStatus(communicator, status));
  return trial;
}

}  // namespace cubist
