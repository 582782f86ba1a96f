#include "data_process/formats/zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryHeader = 0x02014b50;
constexpr uint32_t kEndRecord = 0x06054b50;
constexpr uint16_t kVersion = 20;
constexpr uint16_t kUtf8Names = 1 << 11;
// 1 January 1980, midnight: the earliest date the format has.
constexpr uint16_t kTime = 0;
constexpr uint16_t kDate = (1 << 5) | 1;
// Identifier of the padding's extra field, as PyTorch uses it.
constexpr uint16_t kPaddingField = 0x4246;
constexpr uint64_t kMaxBytes = std::numeric_limits<uint32_t>::max();

// What a local header and a directory entry have in common.
void AppendDescription(uint32_t checksum, uint32_t size, uint16_t name_size, uint16_t extra_size, std::string& out) {
  AppendLittleEndian(kVersion, out);
  AppendLittleEndian(kUtf8Names, out);
  AppendLittleEndian(uint16_t{0}, out);  // stored
  AppendLittleEndian(kTime, out);
  AppendLittleEndian(kDate, out);
  AppendLittleEndian(checksum, out);
  AppendLittleEndian(size, out);
  AppendLittleEndian(size, out);
  AppendLittleEndian(name_size, out);
  AppendLittleEndian(extra_size, out);
}

}  // namespace

absl::Status ZipWriter::Add(std::string_view name, std::string_view bytes) {
  if (name.empty() || name.size() > 4096)
    return DataError(absl::StrCat("zip member ", Quoted(name), ": impossible name"));
  if (!names_.insert(std::string(name)).second) {
    return DataError(absl::StrCat("zip member ", Quoted(name), ": this name is there already"));
  }
  const uint64_t offset = archive_.size();
  const uint64_t plain_begin = offset + 30 + name.size();
  uint64_t padding = 0;
  if (plain_begin % alignment_ != 0) {
    // The field's own header takes four bytes.
    padding = 4 + (alignment_ - (plain_begin + 4) % alignment_) % alignment_;
  }
  if (bytes.size() > kMaxBytes || plain_begin + padding + bytes.size() > kMaxBytes) {
    return DataError(absl::StrCat("zip member ", Quoted(name), ": the archive would exceed 4 GiB; use safetensors"));
  }
  uint32_t checksum = 0;
  for (size_t done = 0; done < bytes.size();) {
    const size_t part = std::min<size_t>(bytes.size() - done, size_t{1} << 30);
    checksum = static_cast<uint32_t>(
        crc32(checksum, reinterpret_cast<const Bytef*>(bytes.data() + done), static_cast<uInt>(part)));
    done += part;
  }
  const auto size = static_cast<uint32_t>(bytes.size());
  const auto name_size = static_cast<uint16_t>(name.size());
  AppendLittleEndian(kLocalHeader, archive_);
  AppendDescription(checksum, size, name_size, static_cast<uint16_t>(padding), archive_);
  archive_.append(name);
  if (padding > 0) {
    AppendLittleEndian(kPaddingField, archive_);
    AppendLittleEndian(static_cast<uint16_t>(padding - 4), archive_);
    archive_.append(padding - 4, 'Z');
  }
  archive_.append(bytes);

  AppendLittleEndian(kDirectoryHeader, directory_);
  AppendLittleEndian(kVersion, directory_);
  AppendDescription(checksum, size, name_size, 0, directory_);
  AppendLittleEndian(uint16_t{0}, directory_);  // comment
  AppendLittleEndian(uint16_t{0}, directory_);  // disk
  AppendLittleEndian(uint16_t{0}, directory_);  // internal attributes
  AppendLittleEndian(uint32_t{0}, directory_);  // external attributes
  AppendLittleEndian(static_cast<uint32_t>(offset), directory_);
  directory_.append(name);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ZipWriter::Finish() {
  if (names_.size() >= 0xffff || archive_.size() + directory_.size() > kMaxBytes) {
    return DataError(absl::StrCat("zip archive of ", names_.size(), " members and ", archive_.size(),
                                  " bytes: more than the format without its 64-bit extension holds; use safetensors"));
  }
  const auto offset = static_cast<uint32_t>(archive_.size());
  archive_ += directory_;
  AppendLittleEndian(kEndRecord, archive_);
  AppendLittleEndian(uint32_t{0}, archive_);  // disks
  AppendLittleEndian(static_cast<uint16_t>(names_.size()), archive_);
  AppendLittleEndian(static_cast<uint16_t>(names_.size()), archive_);
  AppendLittleEndian(static_cast<uint32_t>(directory_.size()), archive_);
  AppendLittleEndian(offset, archive_);
  AppendLittleEndian(uint16_t{0}, archive_);  // comment
  return std::move(archive_);
}

}  // namespace cubist
