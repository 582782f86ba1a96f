#include "data_process/formats/fuzz/pickle_walk.h"

#include <optional>
#include <unordered_set>

#include "base/host_tensor.h"
#include "data_process/formats/fuzz/fuzz_target.h"

namespace cubist {

PickleLimits FuzzPickleLimits() {
  PickleLimits limits;
  limits.max_bytes = kFuzzBytes;
  limits.max_memory_bytes = kFuzzBytes;
  limits.max_stack = 100000;
  limits.max_memo = 100000;
  return limits;
}

std::vector<PickleTensor> WalkPickle(const PickleValue& root) {
  std::vector<PickleTensor> tensors;
  std::unordered_set<const void*> seen;
  std::vector<PickleValue> waiting = {root};
  uint64_t bytes = 0;
  while (!waiting.empty()) {
    const PickleValue value = waiting.back();
    waiting.pop_back();
    if (!seen.insert(value.id()).second) continue;
    if (const std::optional<PickleValue> state = value.state()) waiting.push_back(*state);
    const PickleKind kind = value.kind();
    Require(!Name(kind).empty(), "a kind has a name");
    if (kind == PickleKind::kBool) bytes += value.bool_value();
    if (kind == PickleKind::kInt) bytes += value.int_value() > 0;
    if (kind == PickleKind::kInt || kind == PickleKind::kFloat) bytes += value.float_value() > 0;
    if (kind == PickleKind::kString) bytes += value.string().size();
    if (kind == PickleKind::kBytes) bytes += value.bytes().size();
    if (kind == PickleKind::kBigInt) Require(value.bytes().size() > 8, "a small integer is no big one");
    if (kind == PickleKind::kGlobal) Require(value.class_name().find('.') != std::string::npos, "module.name");
    if (kind == PickleKind::kObject || kind == PickleKind::kPersistentId) waiting.push_back(value.args());
    if (kind == PickleKind::kList || kind == PickleKind::kTuple || kind == PickleKind::kSet ||
        kind == PickleKind::kObject) {
      for (size_t i = 0; i < value.size(); ++i) waiting.push_back(value.item(i));
    }
    if (kind == PickleKind::kDict || kind == PickleKind::kObject) {
      bytes += value.class_name().size() + value.Find("state_dict").has_value();
      for (size_t i = 0; i < value.pair_count(); ++i) {
        waiting.push_back(value.key(i));
        waiting.push_back(value.value(i));
      }
    }
    if (kind != PickleKind::kTensor) continue;
    const PickleTensor& tensor = value.tensor();
    Require(CheckedByteSize(tensor.dtype, tensor.shape).has_value(), "a tensor has a possible size");
    Require(tensor.shape.size() == tensor.stride.size() && tensor.storage_size >= 0, "a stride an extent");
    __int128 last = tensor.offset;
    bool empty = false;
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
      Require(tensor.shape[d] >= 0 && tensor.stride[d] >= 0, "extents and strides are not negative");
      empty = empty || tensor.shape[d] == 0;
      last += static_cast<__int128>(tensor.shape[d] - 1) * tensor.stride[d];
    }
    Require(tensor.offset >= 0 && (empty ? tensor.offset <= tensor.storage_size : last < tensor.storage_size),
            "a tensor lies within its storage");
    tensors.push_back(tensor);
  }
  Require(bytes <= 2 * kFuzzBytes, "values are within their limit");
  return tensors;
}

}  // namespace cubist
