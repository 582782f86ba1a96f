// Zip archives of plain members, for npz and torch files. A thin, checked layer over libzip.
#ifndef CUBIST_DATA_PROCESS_FORMATS_ZIP_READER_H_
#define CUBIST_DATA_PROCESS_FORMATS_ZIP_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"

struct zip;
struct zip_file;
struct zip_source;

namespace cubist {

struct ZipLimits {
  int64_t max_members = 100000;
  uint64_t max_total_bytes = uint64_t{64} << 30;  // over all members, unpacked, as declared
};

struct ZipMember {
  std::string name;
  uint64_t size = 0;             // bytes unpacked, as the directory declares
  uint64_t compressed_size = 0;  // bytes in the archive
  bool deflated = false;
  uint32_t checksum = 0;  // CRC-32 of the data unpacked, as the directory declares
};

// One member being read from its first byte on. Must not outlive its ZipReader.
class ZipMemberReader {
 public:
  ZipMemberReader(ZipMemberReader&&) = default;

  // Bytes read or skipped so far.
  uint64_t position() const { return position_; }
  // The next `size` bytes, of which there are as many, into `target`.
  // Errors: DataError with file, member and offset.
  absl::Status Read(void* target, uint64_t size);
  // Goes on behind the next `size` bytes. Reads them if the checksum needs them or the member is deflated.
  absl::Status Skip(uint64_t size);
  // If the member is verified: reads what is left and compares size and checksum. Must be the last call.
  // Errors: DataError with file and member.
  absl::Status Finish();

 private:
  friend class ZipReader;
  struct CloseFile {
    void operator()(zip_file* file) const;
  };
  ZipMemberReader(std::string where, const ZipMember& member, bool verify, zip_file* file);
  absl::Status Start();

  std::string where_;
  uint64_t size_;
  uint32_t wanted_checksum_;
  bool deflated_;
  bool verify_;
  std::unique_ptr<zip_file, CloseFile> file_;
  std::string ahead_;  // bytes that were read before they were asked for
  uint64_t position_ = 0;
  uint32_t checksum_ = 0;
};

// One open archive. Not for several threads at once.
class ZipReader {
 public:
  // Reads and verifies the directory: stored and deflated members only, none encrypted, no name twice,
  // sizes within `limits` and possible for the compressed size. `bytes` must outlive the reader.
  // Errors: DataError with `what` and member.
  static absl::StatusOr<std::unique_ptr<ZipReader>> Open(std::string_view bytes, std::string_view what,
                                                         const ZipLimits& limits);
  // The same for a file on disk.
  static absl::StatusOr<std::unique_ptr<ZipReader>> OpenFile(const std::string& path, const ZipLimits& limits);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::string& what() const { return what_; }
  // In directory order.
  const std::vector<ZipMember>& members() const { return members_; }
  // Null if there is none.
  const ZipMember* Find(std::string_view name) const;
  // A member of this archive, for reading it in pieces. With `verify` false the checksum of a stored member is not
  // looked at, and Skip reads nothing: for members that were verified before.
  // Errors: DataError with `what` and member.
  absl::StatusOr<ZipMemberReader> OpenMember(const ZipMember& member, bool verify = true) const;
  // The whole of one member into `target`, which holds member.size bytes; verifies size and checksum.
  // Errors: DataError with `what` and member.
  absl::Status ReadInto(const ZipMember& member, void* target) const;
  absl::StatusOr<std::string> Read(const ZipMember& member) const;

 private:
  ZipReader() = default;
  static absl::StatusOr<std::unique_ptr<ZipReader>> OpenSource(struct zip_source* source, std::string what,
                                                               const ZipLimits& limits);
  absl::Status ReadDirectory(const ZipLimits& limits);

  std::string what_;
  struct zip* archive_ = nullptr;
  std::vector<ZipMember> members_;
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_ZIP_READER_H_
