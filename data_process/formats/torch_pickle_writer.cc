#include "data_process/formats/torch_pickle_writer.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

std::string_view StorageClass(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "BoolStorage";
    case DType::kUInt8:
      return "ByteStorage";
    case DType::kInt8:
      return "CharStorage";
    case DType::kInt16:
      return "ShortStorage";
    case DType::kInt32:
      return "IntStorage";
    case DType::kInt64:
      return "LongStorage";
    case DType::kFloat16:
      return "HalfStorage";
    case DType::kBFloat16:
      return "BFloat16Storage";
    case DType::kFloat32:
      return "FloatStorage";
    case DType::kFloat64:
      return "DoubleStorage";
    case DType::kUInt16:
    case DType::kUInt32:
    case DType::kUInt64:
      return "";
  }
  return "";
}

void AppendText(std::string_view text, std::string& out) {
  out += 'X';  // BINUNICODE
  AppendLittleEndian(static_cast<uint32_t>(text.size()), out);
  out.append(text);
}

// BININT where it fits, else LONG1 of eight bytes. `value` is not negative.
void AppendInteger(int64_t value, std::string& out) {
  if (value <= 0x7fffffff) {
    out += 'J';
    AppendLittleEndian(static_cast<int32_t>(value), out);
  } else {
    out += "\x8a\x08";
    AppendLittleEndian(value, out);
  }
}

void AppendTuple(const std::vector<int64_t>& values, std::string& out) {
  out += '(';
  for (int64_t value : values) AppendInteger(value, out);
  out += 't';
}

}  // namespace

absl::StatusOr<std::string> FormatTorchPickle(const std::vector<std::pair<std::string, HostTensor>>& tensors) {
  std::string out = "\x80\x02}(";  // PROTO 2, EMPTY_DICT, MARK
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    const std::string_view storage = StorageClass(tensor.dtype());
    if (storage.empty()) {
      return DataError(absl::StrCat("tensor ", Quoted(name), ": torch files hold no ",
                                    std::string(Name(tensor.dtype())), " storages; cast it to int64"));
    }
    AppendText(name, out);
    out += "ctorch._utils\n_rebuild_tensor_v2\n(";
    out += '(';  // the storage's persistent id
    AppendText("storage", out);
    absl::StrAppend(&out, "ctorch\n", std::string(storage), "\n");
    AppendText(absl::StrCat(i), out);
    AppendText("cpu", out);
    AppendInteger(tensor.size(), out);
    out += "tQ";            // TUPLE, BINPERSID
    AppendInteger(0, out);  // offset
    AppendTuple(tensor.shape(), out);
    std::vector<int64_t> stride(tensor.shape().size());
    int64_t step = 1;
    for (size_t d = stride.size(); d-- > 0;) {
      stride[d] = step;
      // torch counts an extent of 0 as 1 here.
      step *= tensor.shape()[d] == 0 ? 1 : tensor.shape()[d];
    }
    AppendTuple(stride, out);
    out += "\x89";  // requires_grad = False
    out += "ccollections\nOrderedDict\n)RtR";
  }
  out += "u.";  // SETITEMS, STOP
  return out;
}

}  // namespace cubist
