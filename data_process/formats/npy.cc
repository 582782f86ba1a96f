#include "data_process/formats/npy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = 65536;
constexpr size_t kMaxRank = 64;  // NumPy's own limit

struct Header {
  std::optional<std::string> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

// The header is the text of a Python dict with exactly three keys. Only what NumPy writes is read;
// nothing is evaluated.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string what, size_t offset)
      : text_(text), what_(std::move(what)), offset_(offset) {}

  absl::StatusOr<Header> Parse() {
    Header header;
    RETURN_IF_ERROR(Expect('{'));
    while (!Take('}')) {
      ASSIGN_OR_RETURN(const std::string key, String());
      RETURN_IF_ERROR(Expect(':'));
      if (key == "descr" && !header.descr.has_value()) {
        if (Peek() == '[') return Fault("structured dtypes are not read; store one array a field");
        ASSIGN_OR_RETURN(header.descr, String());
      } else if (key == "fortran_order" && !header.fortran_order.has_value()) {
        ASSIGN_OR_RETURN(header.fortran_order, Boolean());
      } else if (key == "shape" && !header.shape.has_value()) {
        ASSIGN_OR_RETURN(header.shape, Shape());
      } else {
        return Fault(absl::StrCat("unknown or repeated key ", Quoted(key)));
      }
      if (!Take(',') && Peek() != '}') return Fault("expected ',' or '}'");
    }
    if (Peek() != '\0' || at_ != text_.size()) return Fault("text after the dict");
    if (!header.descr || !header.fortran_order || !header.shape)
      return Fault("descr, fortran_order or shape is missing");
    return header;
  }

 private:
  absl::Status Fault(const std::string& message) const {
    return DataError(absl::StrCat(what_, ": npy header at offset ", offset_ + at_, ": ", message));
  }
  // The next character that is no white space; 0 at the end.
  char Peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Take(char wanted) {
    if (Peek() != wanted) return false;
    ++at_;
    return true;
  }
  absl::Status Expect(char wanted) {
    return Take(wanted) ? absl::OkStatus() : Fault(absl::StrCat("expected '", std::string(1, wanted), "'"));
  }
  absl::StatusOr<std::string> String() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return Fault("expected a string");
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) return Fault("a string does not end");
    std::string value(text_.substr(at_, end - at_));
    if (value.find('\\') != std::string::npos) return Fault("an escape in a string");
    at_ = end + 1;
    return value;
  }
  absl::StatusOr<bool> Boolean() {
    Peek();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    return Fault("expected True or False");
  }
  absl::StatusOr<std::vector<int64_t>> Shape() {
    RETURN_IF_ERROR(Expect('('));
    std::vector<int64_t> shape;
    while (!Take(')')) {
      if (!std::isdigit(static_cast<unsigned char>(Peek()))) return Fault("expected an extent (not negative)");
      int64_t extent = 0;
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
        if (__builtin_mul_overflow(extent, 10, &extent) || __builtin_add_overflow(extent, text_[at_] - '0', &extent)) {
          return Fault("an extent overflows");
        }
        ++at_;
      }
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote 3L
      if (shape.size() == kMaxRank) return Fault("more than 64 dimensions");
      shape.push_back(extent);
      if (!Take(',') && Peek() != ')') return Fault("expected ',' or ')'");
    }
    return shape;
  }

  std::string_view text_;
  std::string what_;
  size_t offset_;
  size_t at_ = 0;
};

std::optional<DType> DTypeOfDescr(std::string_view code) {
  static constexpr std::pair<std::string_view, DType> kCodes[] = {
      {"b1", DType::kBool},  {"u1", DType::kUInt8},   {"i1", DType::kInt8},    {"u2", DType::kUInt16},
      {"i2", DType::kInt16}, {"u4", DType::kUInt32},  {"i4", DType::kInt32},   {"u8", DType::kUInt64},
      {"i8", DType::kInt64}, {"f2", DType::kFloat16}, {"f4", DType::kFloat32}, {"f8", DType::kFloat64},
  };
  for (const auto& [name, dtype] : kCodes) {
    if (name == code) return dtype;
  }
  return std::nullopt;
}

// '<f8', '=f8' and '|u1'; one-byte types may carry any order.
absl::StatusOr<DType> ParseDescr(const std::string& descr, const std::string& what) {
  const std::string_view text = descr;
  const std::optional<DType> dtype = text.size() < 2 ? std::nullopt : DTypeOfDescr(text.substr(1));
  const bool known_order = !text.empty() && std::string_view("<>|=").find(text[0]) != std::string_view::npos;
  if (!dtype.has_value() || !known_order || (text[0] == '|' && SizeOf(*dtype) > 1)) {
    return DataError(absl::StrCat(what, ": npy dtype ", Quoted(descr),
                                  " is not read; bool, integers of 1 to 8 bytes and floats of 2 to 8 bytes are"));
  }
  if (text[0] == '>' && SizeOf(*dtype) > 1) {
    return DataError(absl::StrCat(what, ": npy dtype ", Quoted(descr), " is big-endian; save it with array.astype('<",
                                  descr.substr(1), "')"));
  }
  return *dtype;
}

std::string DescrOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "|b1";
    case DType::kUInt8:
      return "|u1";
    case DType::kInt8:
      return "|i1";
    case DType::kUInt16:
      return "<u2";
    case DType::kInt16:
      return "<i2";
    case DType::kUInt32:
      return "<u4";
    case DType::kInt32:
      return "<i4";
    case DType::kUInt64:
      return "<u8";
    case DType::kInt64:
      return "<i8";
    case DType::kFloat16:
      return "<f2";
    case DType::kBFloat16:
    case DType::kFloat32:
      return "<f4";
    case DType::kFloat64:
      return "<f8";
  }
  return "";
}

// Copies elements stored with the first index fastest into row-major order.
template <size_t kSize>
void CopyFortranOrder(const char* source, HostTensor& target) {
  const std::vector<int64_t>& shape = target.shape();
  const int rank = static_cast<int>(shape.size());
  std::vector<int64_t> stride(rank);
  int64_t step = 1;
  for (int d = 0; d < rank; ++d) {
    stride[d] = step;
    step *= shape[d];
  }
  std::vector<int64_t> index(rank, 0);
  int64_t from = 0;
  char* to = reinterpret_cast<char*>(target.bytes());
  for (int64_t i = 0; i < target.size(); ++i, to += kSize) {
    std::memcpy(to, source + from * static_cast<int64_t>(kSize), kSize);
    for (int d = rank - 1; d >= 0; --d) {
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
}

// The header's length field and where its text begins.
absl::StatusOr<std::pair<size_t, size_t>> LocateHeader(std::string_view bytes, const std::string& what) {
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic) {
    return DataError(
        absl::StrCat(what, ": no npy file: it does not begin with '\\x93NUMPY' (", bytes.size(), " bytes)"));
  }
  const int major = static_cast<unsigned char>(bytes[6]);
  const int minor = static_cast<unsigned char>(bytes[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return DataError(absl::StrCat(what, ": npy version ", major, ".", minor, " is not known (1.0 to 3.0 are)"));
  }
  const size_t begin = major == 1 ? 10 : 12;
  if (bytes.size() < begin)
    return DataError(absl::StrCat(what, ": truncated at offset ", bytes.size(), " within the npy header"));
  const size_t length =
      major == 1 ? LoadLittleEndian<uint16_t>(bytes.data() + 8) : LoadLittleEndian<uint32_t>(bytes.data() + 8);
  if (length > kMaxHeaderBytes) return DataError(absl::StrCat(what, ": npy header of ", length, " bytes at offset 8"));
  if (length > bytes.size() - begin) {
    return DataError(absl::StrCat(what, ": truncated at offset ", bytes.size(), " within the npy header"));
  }
  return std::make_pair(begin, length);
}

}  // namespace

absl::StatusOr<HostTensor> ParseNpy(std::string_view bytes, std::string_view what_view, const NpyLimits& limits) {
  const std::string what(what_view);
  ASSIGN_OR_RETURN(const auto located, LocateHeader(bytes, what));
  const auto [begin, length] = located;
  ASSIGN_OR_RETURN(const Header header, HeaderParser(bytes.substr(begin, length), what, begin).Parse());
  ASSIGN_OR_RETURN(const DType dtype, ParseDescr(*header.descr, what));
  const std::optional<uint64_t> size = CheckedByteSize(dtype, *header.shape);
  const std::string shape = absl::StrCat("(", absl::StrJoin(*header.shape, ","), ")");
  if (!size.has_value() || *size > limits.max_array_bytes) {
    return DataError(
        absl::StrCat(what, ": npy shape ", shape, " is more than the limit of ", limits.max_array_bytes, " bytes"));
  }
  const std::string_view data = bytes.substr(begin + length);
  if (data.size() != *size) {
    return DataError(absl::StrCat(what, ": npy shape ", shape, " needs ", *size, " bytes from offset ", begin + length,
                                  " but ", data.size(), " are there"));
  }
  HostTensor tensor(dtype, *header.shape);
  if (!*header.fortran_order || header.shape->size() < 2) {
    if (*size > 0) std::memcpy(tensor.bytes(), data.data(), *size);
  } else {
    switch (SizeOf(dtype)) {
      case 1:
        CopyFortranOrder<1>(data.data(), tensor);
        break;
      case 2:
        CopyFortranOrder<2>(data.data(), tensor);
        break;
      case 4:
        CopyFortranOrder<4>(data.data(), tensor);
        break;
      default:
        CopyFortranOrder<8>(data.data(), tensor);
    }
  }
  NormalizeBooleans(tensor);
  return tensor;
}

std::string FormatNpy(const HostTensor& tensor) {
  const std::vector<int64_t>& shape = tensor.shape();
  std::string header = absl::StrCat("{'descr': '", DescrOf(tensor.dtype()), "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  // Ends with a line feed so that the data begins at a multiple of 64.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += std::string("\x01\x00", 2);
  AppendLittleEndian(static_cast<uint16_t>(header.size()), bytes);
  bytes += header;
  if (tensor.dtype() != DType::kBFloat16) {
    bytes.append(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size());
    return bytes;
  }
  const char* source = reinterpret_cast<const char*>(tensor.bytes());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    AppendLittleEndian(static_cast<uint32_t>(LoadLittleEndian<uint16_t>(source + 2 * i)) << 16, bytes);
  }
  return bytes;
}

}  // namespace cubist
