// PNG images. Nearly every mutation breaks a chunk's checksum, so each file is read a second time with checksums that
// are right: what they would hide is met too.
#include <zlib.h>

#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/png.h"

namespace cubist {
namespace {

constexpr size_t kSignatureBytes = 8;

uint32_t BigEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// Gives every chunk that lies whole in the file the checksum of its bytes (PNG specification, 5.3).
std::string WithChecksums(std::string bytes) {
  for (size_t at = kSignatureBytes; bytes.size() >= 12 && at <= bytes.size() - 12;) {
    const uint32_t size = BigEndian(bytes, at);
    if (size > bytes.size() - 12 - at) break;
    const auto sum = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(&bytes[at + 4]), size + 4));
    for (size_t i = 0; i < 4; ++i) bytes[at + 8 + size + i] = static_cast<char>(sum >> (24 - 8 * i));
    at += size_t{12} + size;
  }
  return bytes;
}

bool ReadPng(std::string_view bytes) {
  ImageLimits limits;
  limits.max_pixels = kFuzzBytes / 8;  // of four channels of two bytes
  const auto image = ParsePng(bytes, kFuzzName, limits);
  if (!Accepted(image.status())) return false;
  Walk(*image);
  const std::vector<int64_t>& shape = image->shape();
  Require(shape.size() == 2 || (shape.size() == 3 && shape[2] >= 2 && shape[2] <= 4),
          "an image is [H,W] or [H,W,2|3|4]");
  Require(shape[0] > 0 && shape[1] > 0 && image->byte_size() <= kFuzzBytes, "an image is within its limit");
  const bool written = shape.size() == 2 || (shape[2] == 3 && image->dtype() == DType::kUInt8);
  if (!written || image->byte_size() > 10000) return true;
  const auto again = ParsePng(FormatPng(*image), kFuzzName);
  Require(again.ok() && SameArray(*again, *image), "an image that is written is read again");
  return true;
}

}  // namespace

bool FuzzFormat(std::string_view bytes) {
  const std::string repaired = WithChecksums(std::string(bytes));
  if (repaired != bytes) ReadPng(repaired);
  return ReadPng(bytes);
}

}  // namespace cubist
