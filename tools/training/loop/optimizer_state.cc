#include "tools/training/loop/optimizer_state.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/checkpoint/rank_checkpoint.h"
#include "tools/training/communicator/rank_agreement.h"

namespace cubist {

absl::Status CopyInto(const HostTensor& source, const std::string& from, const NamedTensor& target) {
  if (source.shape() != target.tensor.sizes().vec()) {
    return DataError(absl::StrCat(from, ": tensor ", target.name, " is ", source.Describe(), ", the model's is ",
                                  ToHost(target.tensor).Describe()));
  }
  const at::NoGradGuard no_gradients;
  target.tensor.copy_(FromHost(source, at::kCPU));
  return absl::OkStatus();
}

absl::Status RestoreGroup(const AnyCheckpoint& checkpoint, const FlatOptimizer& optimizer, const std::string& group) {
  const std::string& from = checkpoint.description().path;
  const std::vector<NamedTensor> tensors = optimizer.Group(group);
  const auto found = std::count_if(checkpoint.tensors().begin(), checkpoint.tensors().end(),
                                   [&group](const ListedTensor& tensor) { return tensor.group == group; });
  if (static_cast<size_t>(found) != tensors.size()) {
    return StorageError(
        absl::StrCat(from, ": group ", group, " has ", found, " tensors, this model has ", tensors.size()));
  }
  for (const NamedTensor& tensor : tensors) {
    const std::optional<size_t> number = checkpoint.Find(group, tensor.name);
    if (!number.has_value()) {
      return StorageError(absl::StrCat(from, ": group ", group, " has no tensor \"", tensor.name, "\""));
    }
    ASSIGN_OR_RETURN(const HostTensor value, checkpoint.Read(*number));
    RETURN_IF_ERROR(CopyInto(value, from, tensor));
  }
  return absl::OkStatus();
}

absl::Status RestoreOptimizer(const AnyCheckpoint& checkpoint, const FlatOptimizer& optimizer) {
  for (const std::string& group : optimizer.Groups()) RETURN_IF_ERROR(RestoreGroup(checkpoint, optimizer, group));
  return absl::OkStatus();
}

HostOptimizerState CopyOptimizer(const FlatOptimizer& optimizer, const std::vector<std::string>& groups) {
  HostOptimizerState state;
  for (const std::string& group : groups) {
    TensorGroup& tensors = state.groups.emplace_back();
    tensors.name = group;
    for (const NamedTensor& tensor : optimizer.Group(group)) {
      const HostTensor& copy = state.copies.emplace_back(ToHost(tensor.tensor));
      tensors.tensors.push_back({tensor.name, copy.dtype(), copy.shape(), copy.bytes()});
    }
  }
  return state;
}

uint64_t BytesToSave(const FlatOptimizer& optimizer) {
  uint64_t bytes = 0;
  for (const std::string& group : optimizer.Groups()) {
    for (const NamedTensor& tensor : optimizer.Group(group)) bytes += tensor.tensor.nbytes();
  }
  return bytes;
}

HostOptimizerState CopyForSaving(const FlatOptimizer& optimizer, int rank) {
  std::vector<std::string> groups;
  for (const std::string& group : optimizer.Groups()) {
    if (rank == 0 || IsSplitByRanks(group)) groups.push_back(group);
  }
  return CopyOptimizer(optimizer, groups);
}

absl::Status CompareOptimizers(Communicator& communicator, int64_t step, const FlatOptimizer& optimizer) {
  if (communicator.world_size() == 1) return absl::OkStatus();
  const HostOptimizerState host = CopyOptimizer(optimizer, optimizer.Groups());
  std::vector<NamedBytes> tensors;
  size_t i = 0;
  for (const TensorGroup& group : host.groups) {
    for (const TensorSource& tensor : group.tensors) {
      tensors.push_back({absl::StrCat(group.name, "/", tensor.name), tensor.data, host.copies[i++].byte_size()});
    }
  }
  return CompareTensors(communicator, step, tensors);
}

}  // namespace cubist
