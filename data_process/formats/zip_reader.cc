#include "data_process/formats/zip_reader.h"

#include <libdeflate.h>
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr size_t kEndRecordBytes = 22;

// Small enough that the checksum finds the bytes in the processor's cache.
constexpr uint64_t kPieceBytes = 256 << 10;

std::string ErrorText(zip_error_t* error) { return zip_error_strerror(error); }

}  // namespace

absl::StatusOr<std::unique_ptr<ZipReader>> ZipReader::Open(std::string_view bytes, std::string_view what,
                                                           const ZipLimits& limits) {
  if (bytes.size() < kEndRecordBytes) {
    return DataError(absl::StrCat(std::string(what), ": ", bytes.size(), " bytes are no zip archive; fetch it again"));
  }
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source == nullptr) return InternalError(absl::StrCat(std::string(what), ": libzip: ", ErrorText(&error)));
  return OpenSource(source, std::string(what), limits);
}

absl::StatusOr<std::unique_ptr<ZipReader>> ZipReader::OpenFile(const std::string& path, const ZipLimits& limits) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_file_create(path.c_str(), 0, -1, &error);
  if (source == nullptr) return DataError(absl::StrCat(path, ": cannot open: ", ErrorText(&error)));
  return OpenSource(source, path, limits);
}

absl::StatusOr<std::unique_ptr<ZipReader>> ZipReader::OpenSource(zip_source_t* source, std::string what,
                                                                 const ZipLimits& limits) {
  std::unique_ptr<ZipReader> reader(new ZipReader());
  reader->what_ = std::move(what);
  zip_error_t error;
  zip_error_init(&error);
  reader->archive_ = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (reader->archive_ == nullptr) {
    const std::string reason =
        zip_error_code_zip(&error) == ZIP_ER_EXISTS ? "a member's name occurs twice" : ErrorText(&error);
    zip_error_fini(&error);
    zip_source_free(source);
    return DataError(absl::StrCat(reader->what_, ": cannot read as a zip archive: ", reason,
                                  "; truncated or damaged, fetch it again"));
  }
  RETURN_IF_ERROR(reader->ReadDirectory(limits));
  return reader;
}

absl::Status ZipReader::ReadDirectory(const ZipLimits& limits) {
  const int64_t count = zip_get_num_entries(archive_, 0);
  if (count < 0 || count > limits.max_members) {
    return DataError(absl::StrCat(what_, ": ", count, " members are more than the limit of ", limits.max_members));
  }
  uint64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD |
                                 ZIP_STAT_ENCRYPTION_METHOD | ZIP_STAT_CRC;
    if (zip_stat_index(archive_, static_cast<zip_uint64_t>(i), 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      return DataError(absl::StrCat(what_, ": entry ", i, " of its directory is damaged"));
    }
    const std::string where = absl::StrCat(what_, ": member ", Quoted(stat.name));
    if (stat.encryption_method != ZIP_EM_NONE) return DataError(absl::StrCat(where, ": it is encrypted"));
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      return DataError(
          absl::StrCat(where, ": compression method ", stat.comp_method, " is not read; store or deflate it"));
    }
    ZipMember member{stat.name, stat.size, stat.comp_size, stat.comp_method == ZIP_CM_DEFLATE, stat.crc};
    const bool possible = member.deflated ? member.size / kMaxDeflateRatio <= member.compressed_size
                                          : member.size == member.compressed_size;
    if (!possible) {
      return DataError(absl::StrCat(where, ": ", member.size, " bytes cannot come from ", member.compressed_size,
                                    ": its directory is damaged"));
    }
    if (__builtin_add_overflow(total, member.size, &total) || total > limits.max_total_bytes) {
      return DataError(absl::StrCat(where, ": with its ", member.size,
                                    " bytes the members unpack to more than the limit of ", limits.max_total_bytes,
                                    " bytes"));
    }
    if (!by_name_.emplace(member.name, members_.size()).second) {
      return DataError(absl::StrCat(where, ": this name occurs twice"));
    }
    members_.push_back(std::move(member));
  }
  return absl::OkStatus();
}

ZipReader::~ZipReader() {
  if (archive_ != nullptr) zip_discard(archive_);
}

const ZipMember* ZipReader::Find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &members_[found->second];
}

absl::StatusOr<ZipMemberReader> ZipReader::OpenMember(const ZipMember& member, bool verify) const {
  const std::string where = absl::StrCat(what_, ": member ", Quoted(member.name));
  zip_file_t* const file = zip_fopen_index(archive_, by_name_.at(member.name), 0);
  if (file == nullptr) return DataError(absl::StrCat(where, ": cannot open: ", zip_strerror(archive_)));
  ZipMemberReader reader(where, member, verify, file);
  RETURN_IF_ERROR(reader.Start());
  return reader;
}

absl::Status ZipReader::ReadInto(const ZipMember& member, void* target) const {
  ASSIGN_OR_RETURN(ZipMemberReader reader, OpenMember(member));
  RETURN_IF_ERROR(reader.Read(target, member.size));
  return reader.Finish();
}

void ZipMemberReader::CloseFile::operator()(zip_file* file) const { zip_fclose(file); }

ZipMemberReader::ZipMemberReader(std::string where, const ZipMember& member, bool verify, zip_file* file)
    : where_(std::move(where)),
      size_(member.size),
      wanted_checksum_(member.checksum),
      deflated_(member.deflated),
      verify_(verify),
      file_(file) {}

// libzip checks what is read in order from the first byte on, with zlib's CRC-32, which is three times slower than
// libdeflate's. Where somebody seeks about it leaves that to the caller: so the second byte is read before the first.
absl::Status ZipMemberReader::Start() {
  if (deflated_ || size_ < 2) return absl::OkStatus();
  char start[2];
  if (zip_fseek(file_.get(), 1, SEEK_SET) != 0 || zip_fread(file_.get(), start + 1, 1) != 1 ||
      zip_fseek(file_.get(), 0, SEEK_SET) != 0 || zip_fread(file_.get(), start, 1) != 1 ||
      zip_fseek(file_.get(), 2, SEEK_SET) != 0) {
    return DataError(absl::StrCat(where_, ": cannot read: ", zip_file_strerror(file_.get()), "; fetch the file again"));
  }
  ahead_.assign(start, sizeof(start));
  return absl::OkStatus();
}

absl::Status ZipMemberReader::Read(void* target, uint64_t size) {
  auto* next = static_cast<char*>(target);
  while (size > 0) {
    int64_t count = static_cast<int64_t>(std::min<uint64_t>(size, ahead_.size()));
    if (count > 0) {
      std::memcpy(next, ahead_.data(), static_cast<size_t>(count));
      ahead_.erase(0, static_cast<size_t>(count));
    } else {
      count = zip_fread(file_.get(), next, std::min(size, kPieceBytes));
    }
    if (count < 0) {
      return DataError(absl::StrCat(where_, ": damaged near offset ", position_,
                                    " of its data: ", zip_file_strerror(file_.get()), "; fetch the file again"));
    }
    if (count == 0) {
      return DataError(absl::StrCat(where_, ": ends at offset ", position_, " of ", size_, "; fetch the file again"));
    }
    if (verify_ && !deflated_) checksum_ = libdeflate_crc32(checksum_, next, static_cast<size_t>(count));
    next += count;
    size -= static_cast<uint64_t>(count);
    position_ += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status ZipMemberReader::Skip(uint64_t size) {
  if (size == 0) return absl::OkStatus();
  if (!verify_ && !deflated_) {
    ahead_.clear();
    position_ += size;
    if (zip_fseek(file_.get(), static_cast<zip_int64_t>(position_), SEEK_SET) == 0) return absl::OkStatus();
    return DataError(absl::StrCat(where_, ": cannot go to offset ", position_,
                                  " of its data: ", zip_file_strerror(file_.get()), "; fetch the file again"));
  }
  std::string skipped(std::min(size, kPieceBytes), '\0');
  while (size > 0) {
    const uint64_t piece = std::min<uint64_t>(size, skipped.size());
    RETURN_IF_ERROR(Read(skipped.data(), piece));
    size -= piece;
  }
  return absl::OkStatus();
}

absl::Status ZipMemberReader::Finish() {
  if (!verify_) return absl::OkStatus();
  RETURN_IF_ERROR(Skip(size_ - position_));
  if (!deflated_) {
    if (checksum_ == wanted_checksum_) return absl::OkStatus();
    return DataError(absl::StrCat(where_, ": damaged: its data does not have its checksum; fetch the file again"));
  }
  // The read beyond the last byte lets libzip meet the end and compare the checksum.
  char extra;
  const int64_t count = zip_fread(file_.get(), &extra, 1);
  if (count == 0) return absl::OkStatus();
  if (count > 0) return DataError(absl::StrCat(where_, ": holds more than the ", size_, " bytes that it declares"));
  return DataError(absl::StrCat(where_, ": damaged: ", zip_file_strerror(file_.get()), "; fetch the file again"));
}

absl::StatusOr<std::string> ZipReader::Read(const ZipMember& member) const {
  std::string bytes(member.size, '\0');
  RETURN_IF_ERROR(ReadInto(member, bytes.data()));
  return bytes;
}

}  // namespace cubist
