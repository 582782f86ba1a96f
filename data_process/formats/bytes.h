// Little helpers of the readers and writers in this folder: fixed-width little-endian numbers and
// names from untrusted files made fit for a message.
#ifndef CUBIST_DATA_PROCESS_FORMATS_BYTES_H_
#define CUBIST_DATA_PROCESS_FORMATS_BYTES_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"

namespace cubist {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers in files are read by memcpy");

// Deflate cannot pack better than this (RFC 1951: 258 bytes from 2 bits); a file that claims more lies.
constexpr uint64_t kMaxDeflateRatio = 1032;

// The number that starts at `bytes`; the caller has checked that sizeof(T) bytes are there.
template <typename T>
T LoadLittleEndian(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

template <typename T>
void AppendLittleEndian(T value, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// A name out of a file for a message: in quotes, control and non-ASCII bytes escaped, at most about 120 characters.
inline std::string Quoted(std::string_view text) {
  const bool cut = text.size() > 120;
  const std::string escaped = absl::CHexEscape(absl::string_view(text.data(), cut ? 120 : text.size()));
  return absl::StrCat("'", escaped, cut ? "..." : "", "'");
}

// Makes every element of a bool array 0 or 1: files may hold other bytes, which a C++ bool must not.
inline void NormalizeBooleans(HostTensor& tensor) {
  if (tensor.dtype() != DType::kBool) return;
  auto* bytes = reinterpret_cast<unsigned char*>(tensor.bytes());
  for (size_t i = 0; i < tensor.byte_size(); ++i) bytes[i] = bytes[i] != 0;
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_BYTES_H_
