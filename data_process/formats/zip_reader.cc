#include "data_process/formats/zip_reader.h"

#include <zip.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr size_t kEndRecordBytes = 22;

std::string ErrorText(zip_error_t* error) { return zip_error_strerror(error); }

struct CloseFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

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
    constexpr uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive_, static_cast<zip_uint64_t>(i), 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      return DataError(absl::StrCat(what_, ": entry ", i, " of its directory is damaged"));
    }
    const std::string where = absl::StrCat(what_, ": member ", Quoted(stat.name));
    if (stat.encryption_method != ZIP_EM_NONE) return DataError(absl::StrCat(where, ": it is encrypted"));
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      return DataError(
          absl::StrCat(where, ": compression method ", stat.comp_method, " is not read; store or deflate it"));
    }
    ZipMember member{stat.name, stat.size, stat.comp_size, stat.comp_method == ZIP_CM_DEFLATE};
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

absl::Status ZipReader::ReadInto(const ZipMember& member, void* target) const {
  const std::string where = absl::StrCat(what_, ": member ", Quoted(member.name));
  const size_t index = by_name_.at(member.name);
  const std::unique_ptr<zip_file_t, CloseFile> file(zip_fopen_index(archive_, index, 0));
  if (file == nullptr) return DataError(absl::StrCat(where, ": cannot open: ", zip_strerror(archive_)));
  uint64_t done = 0;
  char extra;
  while (true) {
    // The read beyond the last byte lets libzip meet the end and compare the checksum.
    const bool at_end = done == member.size;
    const int64_t count =
        zip_fread(file.get(), at_end ? &extra : static_cast<char*>(target) + done, at_end ? 1 : member.size - done);
    if (count < 0) {
      return DataError(absl::StrCat(where, ": damaged near offset ", done,
                                    " of its data: ", zip_file_strerror(file.get()), "; fetch the file again"));
    }
    if (count == 0) break;
    if (at_end) return DataError(absl::StrCat(where, ": holds more than the ", member.size, " bytes that it declares"));
    done += static_cast<uint64_t>(count);
  }
  if (done != member.size) {
    return DataError(absl::StrCat(where, ": ends at offset ", done, " of ", member.size, "; fetch the file again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ZipReader::Read(const ZipMember& member) const {
  std::string bytes(member.size, '\0');
  RETURN_IF_ERROR(ReadInto(member, bytes.data()));
  return bytes;
}

}  // namespace cubist
