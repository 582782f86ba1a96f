#include "data_process/formats/zip_writer.h"

#include <libdeflate.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryHeader = 0x02014b50;
constexpr uint32_t kEndRecord64 = 0x06064b50;
constexpr uint32_t kEndLocator64 = 0x07064b50;
constexpr uint32_t kEndRecord = 0x06054b50;
constexpr uint16_t kVersion = 20;
constexpr uint16_t kVersion64 = 45;
constexpr uint16_t kUtf8Names = 1 << 11;
// 1 January 1980, midnight: the earliest date the format has.
constexpr uint16_t kTime = 0;
constexpr uint16_t kDate = (1 << 5) | 1;
// Identifier of the padding's extra field, as PyTorch uses it.
constexpr uint16_t kPaddingField = 0x4246;
constexpr uint16_t kField64 = 0x0001;
// These say that the number stands in a 64-bit record.
constexpr uint64_t kIn64Bits = 0xffffffff;
constexpr uint64_t kCountIn64Bits = 0xffff;

uint32_t Short(uint64_t number) { return static_cast<uint32_t>(std::min(number, kIn64Bits)); }

// The extra field of those numbers that do not fit into 32 bits; empty if all do.
std::string Field64(std::initializer_list<uint64_t> numbers) {
  std::string large;
  for (const uint64_t number : numbers) {
    if (number >= kIn64Bits) AppendLittleEndian(number, large);
  }
  if (large.empty()) return large;
  std::string field;
  AppendLittleEndian(kField64, field);
  AppendLittleEndian(static_cast<uint16_t>(large.size()), field);
  return field + large;
}

// What a local header and a directory entry have in common.
void AppendDescription(uint32_t checksum, uint64_t size, size_t name_size, const std::string& extra, bool large,
                       std::string& out) {
  AppendLittleEndian(large ? kVersion64 : kVersion, out);
  AppendLittleEndian(kUtf8Names, out);
  AppendLittleEndian(uint16_t{0}, out);  // stored
  AppendLittleEndian(kTime, out);
  AppendLittleEndian(kDate, out);
  AppendLittleEndian(checksum, out);
  AppendLittleEndian(Short(size), out);
  AppendLittleEndian(Short(size), out);
  AppendLittleEndian(static_cast<uint16_t>(name_size), out);
  AppendLittleEndian(static_cast<uint16_t>(extra.size()), out);
}

}  // namespace

ByteSink AppendTo(std::string& bytes) {
  return [&bytes](std::string_view more) {
    bytes.append(more);
    return absl::OkStatus();
  };
}

absl::Status ZipWriter::Write(std::string_view bytes) {
  RETURN_IF_ERROR(sink_(bytes));
  written_ += bytes.size();
  return absl::OkStatus();
}

absl::Status ZipWriter::Add(std::string_view name, std::string_view bytes) {
  RETURN_IF_ERROR(Begin(name, bytes.size(), libdeflate_crc32(0, bytes.data(), bytes.size())));
  return Write(bytes);
}

absl::Status ZipWriter::AddStream(std::string_view name, uint64_t size, const ByteStream& bytes) {
  uint32_t checksum = 0, written = 0;
  uint64_t count = 0;
  RETURN_IF_ERROR(bytes([&](std::string_view more) {
    checksum = libdeflate_crc32(checksum, more.data(), more.size());
    count += more.size();
    return absl::OkStatus();
  }));
  if (count != size) {
    return InternalError(absl::StrCat("zip member ", Quoted(name), ": ", count, " bytes come, not ", size));
  }
  RETURN_IF_ERROR(Begin(name, size, checksum));
  RETURN_IF_ERROR(bytes([&](std::string_view more) {
    written = libdeflate_crc32(written, more.data(), more.size());
    count -= std::min<uint64_t>(count, more.size());
    return Write(more);
  }));
  if (count == 0 && written == checksum) return absl::OkStatus();
  return InternalError(absl::StrCat("zip member ", Quoted(name), ": its bytes changed while it was written"));
}

absl::Status ZipWriter::Begin(std::string_view name, uint64_t size, uint32_t checksum) {
  if (name.empty() || name.size() > 4096) {
    return DataError(absl::StrCat("zip member ", Quoted(name), ": impossible name"));
  }
  if (!names_.insert(std::string(name)).second) {
    return DataError(absl::StrCat("zip member ", Quoted(name), ": this name is there already"));
  }
  const uint64_t offset = written_;
  std::string extra = Field64({size, size});
  const uint64_t plain_begin = offset + 30 + name.size() + extra.size();
  if (plain_begin % alignment_ != 0) {
    // The field's own header takes four bytes.
    const uint64_t padding = (alignment_ - (plain_begin + 4) % alignment_) % alignment_;
    AppendLittleEndian(kPaddingField, extra);
    AppendLittleEndian(static_cast<uint16_t>(padding), extra);
    extra.append(padding, 'Z');
  }
  std::string header;
  AppendLittleEndian(kLocalHeader, header);
  AppendDescription(checksum, size, name.size(), extra, size >= kIn64Bits, header);
  header.append(name);
  header.append(extra);
  RETURN_IF_ERROR(Write(header));

  extra = Field64({size, size, offset});
  AppendLittleEndian(kDirectoryHeader, directory_);
  AppendLittleEndian(extra.empty() ? kVersion : kVersion64, directory_);
  AppendDescription(checksum, size, name.size(), extra, !extra.empty(), directory_);
  AppendLittleEndian(uint16_t{0}, directory_);  // comment
  AppendLittleEndian(uint16_t{0}, directory_);  // disk
  AppendLittleEndian(uint16_t{0}, directory_);  // internal attributes
  AppendLittleEndian(uint32_t{0}, directory_);  // external attributes
  AppendLittleEndian(Short(offset), directory_);
  directory_.append(name);
  directory_.append(extra);
  return absl::OkStatus();
}

absl::Status ZipWriter::Finish() {
  const uint64_t offset = written_;
  const uint64_t count = names_.size();
  const uint64_t size = directory_.size();
  const auto short_count = static_cast<uint16_t>(std::min(count, kCountIn64Bits));
  std::string end;
  if (count >= kCountIn64Bits || size >= kIn64Bits || offset >= kIn64Bits) {
    AppendLittleEndian(kEndRecord64, end);
    AppendLittleEndian(uint64_t{44}, end);  // bytes that follow in this record
    AppendLittleEndian(kVersion64, end);
    AppendLittleEndian(kVersion64, end);
    AppendLittleEndian(uint64_t{0}, end);  // disks
    AppendLittleEndian(count, end);
    AppendLittleEndian(count, end);
    AppendLittleEndian(size, end);
    AppendLittleEndian(offset, end);
    AppendLittleEndian(kEndLocator64, end);
    AppendLittleEndian(uint32_t{0}, end);  // disk
    AppendLittleEndian(offset + size, end);
    AppendLittleEndian(uint32_t{1}, end);  // disks in all
  }
  AppendLittleEndian(kEndRecord, end);
  AppendLittleEndian(uint32_t{0}, end);  // disks
  AppendLittleEndian(short_count, end);
  AppendLittleEndian(short_count, end);
  AppendLittleEndian(Short(size), end);
  AppendLittleEndian(Short(offset), end);
  AppendLittleEndian(uint16_t{0}, end);  // comment
  RETURN_IF_ERROR(Write(directory_));
  return Write(end);
}

}  // namespace cubist
