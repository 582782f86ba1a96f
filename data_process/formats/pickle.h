// Reads Python pickles as plain data. Nothing in a pickle is ever imported, constructed or called: a
// reference to a class or function becomes a record of its name, an object a record of its class name,
// arguments and state. What torch.save writes for a tensor is recognised by name and becomes a
// record of where its elements lie; torch_zip.h reads those. A Parameter is its tensor, a torch.Size a tuple, a scalar
// of NumPy a bool, int or float.
//
// Format: CPython's pickletools, protocols 2 to 4 (torch.save writes 2).
#ifndef CUBIST_DATA_PROCESS_FORMATS_PICKLE_H_
#define CUBIST_DATA_PROCESS_FORMATS_PICKLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"

namespace cubist {

struct PickleLimits {
  size_t max_bytes = size_t{256} << 20;       // of the pickle itself
  size_t max_memory_bytes = size_t{1} << 30;  // of all values made, estimated
  size_t max_stack = 1000000;                 // values waiting on the interpreter's stack
  size_t max_marks = 1000;                    // open marks: the depth of nesting while it is written
  size_t max_memo = 10000000;                 // memo entries
  size_t max_tensor_rank = 32;
};

enum class PickleKind {
  kNone,
  kBool,
  kInt,           // fits int64
  kBigInt,        // does not: bytes() is its little-endian two's complement
  kFloat,         // double
  kString,        // UTF-8
  kBytes,         //
  kList,          // items()
  kTuple,         // items()
  kSet,           // items(); also frozensets
  kDict,          // pairs(); also OrderedDict and defaultdict, see class_name() and state()
  kGlobal,        // class_name(): "module.name" of a class or function
  kObject,        // class_name(), args(), and state() and items() or pairs() if the pickle gives it any
  kPersistentId,  // args(): a tuple or string
  kTensor,        // tensor()
};

std::string_view Name(PickleKind kind);

// A tensor that torch.save described: element (i0, i1, ...) is element offset + sum of i * stride of
// the storage. Verified: extents and strides are not negative, and all elements lie within the
// storage's declared size.
struct PickleTensor {
  std::string storage_key;   // member data/<key> of a torch zip
  int64_t storage_size = 0;  // elements
  std::string location;      // "cpu", "cuda:0"
  DType dtype = DType::kFloat32;
  int64_t offset = 0;  // elements
  std::vector<int64_t> shape;
  std::vector<int64_t> stride;  // elements; 0 repeats
  bool requires_grad = false;
};

// Bytes of the tensor's elements when it is dense.
uint64_t DenseBytes(const PickleTensor& tensor);

namespace pickle_internal {
struct Node;
struct Arena;
}  // namespace pickle_internal

// One value of a pickle; a cheap handle that keeps the whole pickle's values alive. Values may be
// shared and may form cycles (OmegaConf's nodes point at their parents): whoever walks them limits
// its depth or remembers id(). A getter of another kind aborts, which is our bug: check kind().
class PickleValue {
 public:
  // None.
  PickleValue();

  PickleKind kind() const;
  bool is_none() const { return kind() == PickleKind::kNone; }
  // Equal for the same shared value.
  const void* id() const { return node_; }

  bool bool_value() const;
  int64_t int_value() const;
  double float_value() const;         // also of kInt
  const std::string& string() const;  // kString
  const std::string& bytes() const;   // kBytes, kBigInt
  const PickleTensor& tensor() const;
  // Of kGlobal and kObject: "omegaconf.dictconfig.DictConfig". Of kDict: "" or "collections.OrderedDict".
  const std::string& class_name() const;
  PickleValue args() const;
  // What BUILD attached; empty if nothing. Of an OrderedDict of torch: a dict with "_metadata".
  std::optional<PickleValue> state() const;

  // Items of a list, tuple or set, and those appended to an object.
  size_t size() const;
  PickleValue item(size_t i) const;
  // Pairs of a dict, in the order of the pickle, and those set on an object. Keys of any kind.
  size_t pair_count() const;
  PickleValue key(size_t i) const;
  PickleValue value(size_t i) const;
  // The value under a string key of a dict; empty if there is none. Linear in the number of pairs.
  std::optional<PickleValue> Find(std::string_view key) const;

 private:
  friend class PickleInterpreter;
  PickleValue(std::shared_ptr<const pickle_internal::Arena> arena, const pickle_internal::Node* node);
  const pickle_internal::Node& Get(PickleKind wanted) const;
  PickleValue Wrap(const pickle_internal::Node* node) const;

  std::shared_ptr<const pickle_internal::Arena> arena_;
  const pickle_internal::Node* node_;
};

// The value that the pickle describes. `what` names the file and member in messages.
// Errors: DataError with `what`, the opcode and its offset: an opcode that is not on the list
// (protocols 0, 1 and 5, extension registry, INST, OBJ), a damaged or truncated pickle, a limit,
// a tensor that reaches outside of its storage, bytes after the end.
absl::StatusOr<PickleValue> ParsePickle(std::string_view bytes, std::string_view what, const PickleLimits& limits = {});

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_PICKLE_H_
