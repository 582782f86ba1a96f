// Little helpers of the readers and writers in this folder: fixed-width little-endian numbers, UTF-8,
// and names from untrusted files made fit for a message.
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

// Text about a file, such as a library's error, for a message: control and non-ASCII bytes escaped, at most 300 bytes
// of it.
inline std::string Printable(std::string_view text) {
  std::string printable;
  for (const char character : text.substr(0, 300)) {
    if (character >= 0x20 && character < 0x7f) {
      printable += character;
    } else {
      absl::StrAppend(&printable, "\\x", absl::Hex(static_cast<unsigned char>(character), absl::kZeroPad2));
    }
  }
  return printable;
}

// A name out of a file for a message: in quotes, control and non-ASCII bytes escaped, at most about 120 characters.
inline std::string Quoted(std::string_view text) {
  const bool cut = text.size() > 120;
  const std::string escaped = absl::CHexEscape(absl::string_view(text.data(), cut ? 120 : text.size()));
  return absl::StrCat("'", escaped, cut ? "..." : "", "'");
}

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const int length = first < 0x80 ? 1 : (first >> 5) == 6 ? 2 : (first >> 4) == 14 ? 3 : (first >> 3) == 30 ? 4 : 0;
    if (length == 0 || i + static_cast<size_t>(length) > text.size()) return false;
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + static_cast<size_t>(k)]);
      if ((next >> 6) != 2) return false;
      point = (point << 6) | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += static_cast<size_t>(length);
  }
  return true;
}

// Makes every element of a bool array 0 or 1: files may hold other bytes, which a C++ bool must not.
inline void NormalizeBooleans(HostTensor& tensor) {
  if (tensor.dtype() != DType::kBool) return;
  auto* bytes = reinterpret_cast<unsigned char*>(tensor.bytes());
  for (size_t i = 0; i < tensor.byte_size(); ++i) bytes[i] = bytes[i] != 0;
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_BYTES_H_
