#include "tools/training/checkpoint/rank_checkpoint.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "tools/training/communicator/gather_strings.h"

namespace cubist {
namespace {

// This rank's files of steps 2, in a manifest that holds nothing else.
absl::StatusOr<checkpoint::Manifest> WriteFilesOfRank(const Communicator& communicator, FileOps& ops,
                                                      const std::string& folder,
                                                      const std::vector<TensorGroup>& groups) {
  const int rank = communicator.rank();
  checkpoint::Manifest written;
  for (const TensorGroup& group : groups) {
    const bool split = IsSplitByRanks(group.name);
    if (!split && rank != 0) continue;
    const std::string name =
        split ? absl::StrFormat("%s-%05d-of-%05d.safetensors", group.name, rank + 1, communicator.world_size())
              : absl::StrCat(group.name, ".safetensors");
    ASSIGN_OR_RETURN(*written.add_tensor_files(),
                     CheckpointStore::WriteTensorFile(
                         ops, folder, name, split ? PartOfRank(group, rank, communicator.world_size()) : group));
  }
  return written;
}

// Steps 2 to 4, in the folder that rank 0 has made.
absl::StatusOr<SaveReport> WriteAndCommit(Communicator& communicator, CheckpointStore* store, FileOps& ops,
                                          const CheckpointStore::Pending& pending, const CheckpointContents& contents) {
  const absl::StatusOr<checkpoint::Manifest> written =
      WriteFilesOfRank(communicator, ops, pending.temporary_folder, contents.groups);
  RETURN_IF_ERROR(AgreeOnStatus(communicator, SaveError(written.status(), pending, TensorBytes(contents.groups))));
  ASSIGN_OR_RETURN(const std::vector<std::string> records, GatherStrings(communicator, written->SerializeAsString()));
  SaveReport report;
  absl::Status committed;
  if (store != nullptr) {
    checkpoint::Manifest all;
    for (const std::string& record : records) {
      if (!all.MergeFromString(record)) committed = InternalError("a rank's records of its files cannot be parsed");
    }
    if (committed.ok()) {
      const absl::StatusOr<SaveReport> saved =
          store->Commit(pending, {all.tensor_files().begin(), all.tensor_files().end()}, contents);
      committed = saved.status();
      if (saved.ok()) report = *saved;
    }
  }
  RETURN_IF_ERROR(AgreeOnStatus(communicator, committed));
  return report;
}

}  // namespace

bool IsSplitByRanks(std::string_view group) { return group == "optimizer"; }

TensorGroup PartOfRank(const TensorGroup& group, int rank, int world_size) {
  TensorGroup part = {group.name, {}};
  for (const TensorSource& tensor : group.tensors) {
    const std::optional<uint64_t> bytes = CheckedByteSize(tensor.dtype, tensor.shape);
    // What is impossible goes on as it is, to the writer, which says so.
    if (tensor.shape.empty() || !bytes || *bytes == 0) {
      if (rank == 0) part.tensors.push_back(tensor);
      continue;
    }
    const int64_t rows = tensor.shape[0], each = rows / world_size, longer = rows % world_size;
    const int64_t begin = rank * each + std::min<int64_t>(rank, longer);
    const int64_t count = each + (rank < longer ? 1 : 0);
    if (count == 0) continue;
    TensorSource slice = tensor;
    slice.data = static_cast<const std::byte*>(tensor.data) + begin * static_cast<int64_t>(*bytes / rows);
    slice.shape[0] = count;
    slice.global_shape = tensor.shape;
    slice.offset.assign(tensor.shape.size(), 0);
    slice.offset[0] = begin;
    part.tensors.push_back(std::move(slice));
  }
  return part;
}

absl::StatusOr<SaveReport> SaveByRanks(Communicator& communicator, CheckpointStore* store, FileOps& ops,
                                       const CheckpointContents& contents) {
  if ((store != nullptr) != (communicator.rank() == 0)) return InternalError("rank 0, and it alone, has the store");
  if (communicator.world_size() == 1) return store->Save(contents);

  CheckpointStore::Pending pending;
  absl::Status begun;
  if (store != nullptr) {
    absl::StatusOr<CheckpointStore::Pending> made = store->Begin(contents.state.step());
    begun = made.status();
    if (made.ok()) pending = *std::move(made);
  }
  const auto finish = [&]() -> absl::StatusOr<SaveReport> {
    RETURN_IF_ERROR(AgreeOnStatus(communicator, begun));
    ASSIGN_OR_RETURN(const std::vector<std::string> folders, GatherStrings(communicator, pending.temporary_folder));
    pending.step = contents.state.step();
    pending.temporary_folder = folders[0];
    return WriteAndCommit(communicator, store, ops, pending, contents);
  };
  absl::StatusOr<SaveReport> report = finish();
  // Nothing there any more if the commit itself failed, or was done: then this does nothing.
  if (!report.ok() && store != nullptr && begun.ok()) store->Abandon(pending);
  return report;
}

}  // namespace cubist
