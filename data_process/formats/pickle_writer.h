// Writes plain data and tensors as a pickle of torch.save: data.pkl of a torch zip (see torch_zip_writer.h).
#ifndef CUBIST_DATA_PROCESS_FORMATS_PICKLE_WRITER_H_
#define CUBIST_DATA_PROCESS_FORMATS_PICKLE_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "data_process/formats/pickle.h"

namespace cubist {

// A value as Python will see it. Only what its kind names counts.
struct PythonValue {
  enum class Kind { kNone, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kOrderedDict, kTensor };

  static PythonValue None() { return {}; }
  static PythonValue Bool(bool value);
  static PythonValue Int(int64_t value);
  static PythonValue Float(double value);
  static PythonValue String(std::string_view value);  // UTF-8
  static PythonValue List(std::vector<PythonValue> items = {});
  static PythonValue Tuple(std::vector<PythonValue> items = {});
  static PythonValue Dict();
  static PythonValue OrderedDict();  // collections.OrderedDict
  // A dense tensor on the CPU; FormatPickle says where its elements belong.
  static PythonValue Tensor(DType dtype, std::vector<int64_t> shape);

  // Of a list or tuple: one more item at the end.
  void Append(PythonValue item) { items.push_back(std::move(item)); }
  // Of a dict: one more pair at the end.
  void Set(PythonValue key, PythonValue value);
  void Set(std::string_view key, PythonValue value) { Set(String(key), std::move(value)); }

  Kind kind = Kind::kNone;
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<PythonValue> items;  // of a dict: key, value, key, value, ...
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
};

struct TensorAnnouncement {
  std::string path;  // "['state_dict']['encoder.weight']", for messages
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
};

struct FormattedPickle {
  std::string bytes;
  // In the order in which they appear in the root, depth first. The storage key of tensor i is i in decimal.
  std::vector<TensorAnnouncement> tensors;
};

// Protocol 2, without memo entries, the same bytes for the same value: CPython's pickle and
// torch.load(weights_only=True) read it. Errors: DataError with the place within the root: a dtype without a torch
// storage class (uint16, uint32, uint64), an impossible shape, text that is not UTF-8 or has 4 GiB, a key that Python
// cannot hash or that occurs twice (1, 1.0 and True are one key), nesting deeper than kMaxPythonDepth.
absl::StatusOr<FormattedPickle> FormatPickle(const PythonValue& root);

constexpr int kMaxPythonDepth = 100;

// The value of a pickle that holds None, bool, int, float, str, list, tuple, dict and OrderedDict (its attributes are
// left out) only. Shared values are copied. With `tensors`, tensors are taken, too: announced as dense in the result,
// and appended there in the order of FormattedPickle.tensors. Errors: DataError with `what` and the place: anything
// else by its name, an int beyond 64 bits, a value that contains itself, nesting deeper than kMaxPythonDepth, more than
// a million values or 256 MiB of text.
absl::StatusOr<PythonValue> PythonValueOf(const PickleValue& value, std::string_view what,
                                          std::vector<PickleTensor>* tensors = nullptr);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_PICKLE_WRITER_H_
