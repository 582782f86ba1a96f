// What a pickle would have Python call, as data: a few well-known functions by name, and a record
// of class name and arguments for all others.
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/pickle_interpreter.h"

namespace cubist {
namespace {

using pickle_internal::Node;

std::optional<DType> DTypeOfStorage(std::string_view class_name) {
  static constexpr std::pair<std::string_view, DType> kStorages[] = {
      {"torch.FloatStorage", DType::kFloat32}, {"torch.DoubleStorage", DType::kFloat64},
      {"torch.HalfStorage", DType::kFloat16},  {"torch.BFloat16Storage", DType::kBFloat16},
      {"torch.LongStorage", DType::kInt64},    {"torch.IntStorage", DType::kInt32},
      {"torch.ShortStorage", DType::kInt16},   {"torch.CharStorage", DType::kInt8},
      {"torch.ByteStorage", DType::kUInt8},    {"torch.BoolStorage", DType::kBool},
  };
  for (const auto& [name, dtype] : kStorages) {
    if (name == class_name) return dtype;
  }
  return std::nullopt;
}

bool IsEmptyTuple(const Node& args) { return args.kind == PickleKind::kTuple && args.items.empty(); }

// The numbers of a tuple of ints that are not negative; empty if it is something else.
std::optional<std::vector<int64_t>> Extents(const Node& node) {
  if (node.kind != PickleKind::kTuple && node.kind != PickleKind::kList) return std::nullopt;
  std::vector<int64_t> extents;
  for (const Node* item : node.items) {
    if (item->kind != PickleKind::kInt || item->integer < 0) return std::nullopt;
    extents.push_back(item->integer);
  }
  return extents;
}

}  // namespace

absl::StatusOr<Node*> PickleInterpreter::Call(Node* callable, Node* args) {
  if (callable->kind != PickleKind::kGlobal) {
    return Fault(absl::StrCat("refused: calls a ", std::string(Name(callable->kind))));
  }
  if (args->kind != PickleKind::kTuple) {
    return Fault(absl::StrCat("refused: calls with a ", std::string(Name(args->kind)), " as arguments"));
  }
  const std::string& name = callable->text;
  if (name == "torch._utils._rebuild_tensor_v2") return CallRebuildTensor(*args);
  // (tensor, requires_grad, hooks): a Parameter is its tensor.
  if (name == "torch._utils._rebuild_parameter" && !args->items.empty() &&
      args->items[0]->kind == PickleKind::kTensor) {
    return args->items[0];
  }
  // A shape is the tuple that it was made of.
  if (name == "torch.Size" && args->items.size() == 1 && args->items[0]->kind == PickleKind::kTuple) {
    return args->items[0];
  }
  // Of NumPy before and since 2.
  if (name == "numpy.core.multiarray.scalar" || name == "numpy._core.multiarray.scalar") {
    ASSIGN_OR_RETURN(Node* const number, CallNumpyScalar(*args));
    if (number != nullptr) return number;
  }
  // Protocol 2 writes Python 3's bytes as text that Latin-1 encodes.
  if (name == "_codecs.encode") return CallEncode(*args);
  if ((name == "collections.OrderedDict" && args->items.empty()) ||
      (name == "collections.defaultdict" && args->items.size() <= 1)) {
    ASSIGN_OR_RETURN(Node* const dict, Make(PickleKind::kDict, sizeof(Node::Extra)));
    dict->More().class_name = name;
    return dict;
  }
  for (const char* set : {"__builtin__.set", "__builtin__.frozenset", "builtins.set", "builtins.frozenset"}) {
    if (name == set && args->items.size() == 1 && args->items[0]->kind == PickleKind::kList) {
      const std::vector<Node*>& items = args->items[0]->items;
      ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kSet, items.size() * sizeof(Node*)));
      node->items = items;
      return node;
    }
  }
  if ((name == "__builtin__.bytes" || name == "builtins.bytes") && IsEmptyTuple(*args)) return Make(PickleKind::kBytes);
  ASSIGN_OR_RETURN(Node* const object, Make(PickleKind::kObject, sizeof(Node::Extra) + name.size()));
  object->text = name;
  object->More().args = args;
  return object;
}

absl::StatusOr<Node*> PickleInterpreter::CallEncode(const Node& args) {
  if (args.items.size() != 2 || args.items[0]->kind != PickleKind::kString ||
      args.items[1]->kind != PickleKind::kString || args.items[1]->text != "latin1") {
    return Fault("refused: _codecs.encode of something other than Latin-1 text");
  }
  const std::string& text = args.items[0]->text;
  ASSIGN_OR_RETURN(Node* const bytes, Make(PickleKind::kBytes, text.size()));
  for (size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    if (first < 0x80) {
      bytes->text += text[i];
    } else if (first == 0xc2 || first == 0xc3) {  // U+0080 to U+00FF; the text is known to be UTF-8
      bytes->text += static_cast<char>(((first & 3) << 6) | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      return Fault("text that Latin-1 cannot encode");
    }
  }
  return bytes;
}

// Arguments (numpy/_core/src/multiarray/methods.c): a dtype, as an object numpy.dtype('f8', False, True) whose state
// begins (3, '<', ...), and the element's bytes. Null for types that are no plain number.
absl::StatusOr<Node*> PickleInterpreter::CallNumpyScalar(const Node& args) {
  if (args.items.size() != 2 || args.items[0]->kind != PickleKind::kObject || args.items[0]->text != "numpy.dtype" ||
      args.items[1]->kind != PickleKind::kBytes) {
    return nullptr;
  }
  const Node::Extra& dtype = *args.items[0]->extra;
  if (dtype.args->items.empty() || dtype.args->items[0]->kind != PickleKind::kString || dtype.state == nullptr ||
      dtype.state->items.size() < 2 || dtype.state->items[1]->text == ">") {
    return nullptr;
  }
  const std::string& type = dtype.args->items[0]->text;
  const std::string& bytes = args.items[1]->text;
  if (type.size() != 2 || bytes.empty() || bytes.size() != static_cast<size_t>(type[1] - '0')) return nullptr;
  uint64_t bits = 0;
  if (bytes.size() > sizeof(bits)) return nullptr;
  std::memcpy(&bits, bytes.data(), bytes.size());
  const bool real = type == "f8" || type == "f4";
  if (!real && type[0] != 'i' && type[0] != 'u' && type != "b1") return nullptr;
  if (type == "u8" && bits > INT64_MAX) return nullptr;
  ASSIGN_OR_RETURN(Node* const number, Make(real           ? PickleKind::kFloat
                                            : type == "b1" ? PickleKind::kBool
                                                           : PickleKind::kInt));
  if (type == "f8") {
    number->real = LoadLittleEndian<double>(bytes.data());
  } else if (real) {
    number->real = LoadLittleEndian<float>(bytes.data());
  } else if (type == "b1") {
    number->boolean = bits != 0;
  } else {
    const int unused = 64 - 8 * static_cast<int>(bytes.size());
    number->integer = type[0] == 'i' ? static_cast<int64_t>(bits << unused) >> unused : static_cast<int64_t>(bits);
  }
  return number;
}

// Arguments (torch/_utils.py): storage, storage_offset, size, stride, requires_grad, backward_hooks
// and, in later versions, metadata.
absl::StatusOr<Node*> PickleInterpreter::CallRebuildTensor(const Node& args) {
  const std::vector<Node*>& items = args.items;
  if (items.size() < 6 || items.size() > 7 || items[0]->kind != PickleKind::kPersistentId ||
      items[1]->kind != PickleKind::kInt || items[4]->kind != PickleKind::kBool) {
    return Fault("a tensor whose description is not (storage, offset, size, stride, requires_grad, hooks)");
  }
  PickleTensor tensor;
  RETURN_IF_ERROR(ParseStorage(*items[0], tensor));
  const std::optional<std::vector<int64_t>> shape = Extents(*items[2]);
  const std::optional<std::vector<int64_t>> stride = Extents(*items[3]);
  if (!shape.has_value() || !stride.has_value() || shape->size() != stride->size() ||
      shape->size() > limits_.max_tensor_rank) {
    return Fault("a tensor whose size and stride are not two tuples of one length without negative numbers");
  }
  tensor.offset = items[1]->integer;
  tensor.shape = *shape;
  tensor.stride = *stride;
  tensor.requires_grad = items[4]->boolean;
  RETURN_IF_ERROR(CheckTensor(tensor));
  const size_t texts = tensor.storage_key.size() + tensor.location.size();
  ASSIGN_OR_RETURN(Node* const node, Make(PickleKind::kTensor, sizeof(Node::Extra) + 16 * tensor.shape.size() + texts));
  node->More().tensor = std::move(tensor);
  return node;
}

// ('storage', <class torch.FloatStorage>, key, location, elements), as torch.serialization writes it.
absl::Status PickleInterpreter::ParseStorage(const Node& persistent_id, PickleTensor& tensor) const {
  const Node& id = *persistent_id.extra->args;
  if (id.kind != PickleKind::kTuple || id.items.size() != 5 || id.items[0]->kind != PickleKind::kString ||
      id.items[0]->text != "storage" || id.items[1]->kind != PickleKind::kGlobal ||
      id.items[2]->kind != PickleKind::kString || id.items[3]->kind != PickleKind::kString ||
      id.items[4]->kind != PickleKind::kInt || id.items[4]->integer < 0) {
    return Fault("a tensor whose storage is not ('storage', class, key, location, elements)");
  }
  const std::optional<DType> dtype = DTypeOfStorage(id.items[1]->text);
  if (!dtype.has_value()) return Fault(absl::StrCat("storages of class ", Quoted(id.items[1]->text), " are not read"));
  tensor.dtype = *dtype;
  tensor.storage_key = id.items[2]->text;
  tensor.location = id.items[3]->text;
  tensor.storage_size = id.items[4]->integer;
  return absl::OkStatus();
}

absl::Status PickleInterpreter::CheckTensor(const PickleTensor& tensor) const {
  int64_t last = tensor.offset;
  bool overflow = tensor.offset < 0 || !CheckedByteSize(tensor.dtype, tensor.shape).has_value();
  bool empty = false;
  for (size_t d = 0; d < tensor.shape.size() && !overflow; ++d) {
    int64_t reach = 0;
    empty = empty || tensor.shape[d] == 0;
    if (tensor.shape[d] == 0) continue;
    overflow = __builtin_mul_overflow(tensor.shape[d] - 1, tensor.stride[d], &reach) ||
               __builtin_add_overflow(last, reach, &last);
  }
  // An empty tensor has no last element; its offset alone may stand at the storage's end.
  if (!overflow && (empty ? tensor.offset <= tensor.storage_size : last < tensor.storage_size)) return absl::OkStatus();
  return Fault(absl::StrCat("a tensor of shape [", absl::StrJoin(tensor.shape, ","), "], stride [",
                            absl::StrJoin(tensor.stride, ","), "] and offset ", tensor.offset,
                            " reaches outside of its storage ", Quoted(tensor.storage_key), " of ", tensor.storage_size,
                            " elements"));
}

}  // namespace cubist
