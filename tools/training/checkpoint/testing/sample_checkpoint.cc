#include "tools/training/checkpoint/testing/sample_checkpoint.h"

#include <cstring>
#include <utility>
#include <vector>

namespace cubist {
namespace {

// Bytes that depend on all arguments, none of them 0, so that a lost one is seen.
HostTensor MakeTensor(DType dtype, std::vector<int64_t> shape, int64_t step, int variant, int salt) {
  HostTensor tensor(dtype, std::move(shape));
  uint64_t state = static_cast<uint64_t>(step) * 1000003u + static_cast<uint64_t>(variant) * 7919u +
                   static_cast<uint64_t>(salt) * 104729u + 12345u;
  for (size_t i = 0; i < tensor.byte_size(); ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const unsigned byte = dtype == DType::kBool ? 1 : 1 + static_cast<unsigned>(state >> 33) % 255;
    tensor.bytes()[i] = static_cast<std::byte>(byte);
  }
  // Even where chance would make two samples alike.
  if (tensor.byte_size() > 0 && dtype != DType::kBool) {
    tensor.bytes()[0] = static_cast<std::byte>(1 + (step * 2 + variant) % 255);
  }
  return tensor;
}

}  // namespace

SampleCheckpoint MakeSampleCheckpoint(int64_t step, int variant) {
  SampleCheckpoint sample;
  int salt = 0;
  const auto add = [&](const std::string& group, const std::string& name, DType dtype, std::vector<int64_t> shape) {
    sample.tensors[group].emplace(name, MakeTensor(dtype, std::move(shape), step, variant, ++salt));
  };
  add("model", "encoder.convolution.weight", DType::kFloat32, {3, 2, 5});
  add("model", "encoder.convolution.bias", DType::kFloat32, {3});
  add("model", "decoder.0.norm.weight", DType::kFloat64, {2, 1, 2, 3});
  add("model", "empty", DType::kFloat32, {0, 4});
  add("ema", "encoder.convolution.weight", DType::kFloat32, {3, 2, 5});
  int number = 0;
  for (const DType dtype :
       {DType::kBool, DType::kUInt8, DType::kInt8, DType::kUInt16, DType::kInt16, DType::kUInt32, DType::kInt32,
        DType::kUInt64, DType::kInt64, DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64}) {
    add("optimizer", "moment/" + std::string(Name(dtype)), dtype,
        number++ % 2 == 0 ? std::vector<int64_t>{} : std::vector<int64_t>{3});
  }
  add("optimizer", "moment.rows", DType::kFloat32, {7, 2, 3});
  add("optimizer", "moment.row", DType::kFloat64, {1, 5});
  add("optimizer", "moment.empty", DType::kFloat32, {0, 4});
  add("optimizer", "moment.hollow", DType::kFloat32, {5, 0, 2});
  for (const auto& [group_name, group] : sample.tensors) {
    TensorGroup out = {group_name, {}};
    for (const auto& [name, tensor] : group) {
      out.tensors.push_back({name, tensor.dtype(), tensor.shape(), tensor.bytes()});
    }
    sample.contents.groups.push_back(std::move(out));
  }
  checkpoint::TrainingState& state = sample.contents.state;
  state.set_step(step);
  state.set_samples_consumed(step * 8 + variant);
  state.set_seed(42);
  (*state.mutable_best_metrics())["val_loss"] = 0.1 * static_cast<double>(step);
  for (const char* name : {"ema/updates", "schedule/steps", "another"}) {
    (*state.mutable_counters())[name] = step + variant;
  }
  sample.contents.config_text = "seed: 42  # step " + std::to_string(step) + "\n";
  sample.contents.config_hash = "0123";
  sample.contents.program_version = "test";
  return sample;
}

std::string DifferenceFrom(const SampleCheckpoint& sample, const Checkpoint& checkpoint) {
  if (checkpoint.state().SerializeAsString().size() != sample.contents.state.SerializeAsString().size() ||
      checkpoint.state().DebugString() != sample.contents.state.DebugString()) {
    return "state: " + checkpoint.state().DebugString();
  }
  if (checkpoint.config_text() != sample.contents.config_text) return "config: " + checkpoint.config_text();
  if (checkpoint.Groups().size() != sample.tensors.size()) return "number of groups";
  for (const auto& [group_name, group] : sample.tensors) {
    const absl::StatusOr<std::map<std::string, HostTensor>> read = checkpoint.ReadAll(group_name);
    if (!read.ok()) return std::string(read.status().message());
    if (read->size() != group.size()) return "number of tensors in " + group_name;
    for (const auto& [name, tensor] : group) {
      const auto found = read->find(name);
      if (found == read->end()) return "no " + name + " in " + group_name;
      const HostTensor& other = found->second;
      if (other.dtype() != tensor.dtype() || other.shape() != tensor.shape() ||
          (tensor.byte_size() > 0 && std::memcmp(other.bytes(), tensor.bytes(), tensor.byte_size()) != 0)) {
        return name + " in " + group_name + " differs";
      }
    }
  }
  return "";
}

}  // namespace cubist
