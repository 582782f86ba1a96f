// Tar archives: an index made in one pass over the headers, members read on their own, and a
// deterministic writer.
//
// Nothing is ever unpacked to disk. An archive with a member that would be dangerous or ambiguous to
// unpack ("..", absolute names, links, devices, fifos, sparse files, repeated names) is refused as a
// whole, and so is one that does not end in the two zero blocks that POSIX asks for: a file that was
// cut between two members would otherwise look like a shorter archive.
#ifndef CUBIST_DATA_PROCESS_FORMATS_TAR_H_
#define CUBIST_DATA_PROCESS_FORMATS_TAR_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/data_place.h"
#include "base/file_ops.h"

struct archive;

namespace cubist {

struct TarLimits {
  uint64_t max_member_bytes = uint64_t{4} << 30;
  int64_t max_members = 1000000;
  size_t max_name_bytes = 4096;
};

struct TarMember {
  std::string name;
  uint64_t offset = 0;  // of its first data byte within the file
  uint64_t size = 0;    // bytes of data
};

// The regular files of one archive. Immutable, so many threads may share it. Holds no open file:
// each Read opens the archive and checks that it is the one that was indexed.
class TarIndex {
 public:
  // Reads all headers (data is skipped by seeking) and verifies that each member lies within the file.
  // USTAR, PAX and GNU headers. Errors: DataError with file, member and offset, which are also its DataPlace.
  static absl::StatusOr<std::shared_ptr<const TarIndex>> Open(const std::string& path, const TarLimits& limits = {});

  // In archive order. Folders are left out.
  const std::vector<TarMember>& members() const { return members_; }
  // Null if there is none. Names are as in the archive, except that a leading "./" is removed.
  const TarMember* Find(std::string_view name) const;
  // The data of one member of this index. Errors: DataError with file, member and offset (the file
  // is gone, was replaced since Open, or ends too early).
  absl::StatusOr<std::string> Read(const TarMember& member) const;
  const std::string& path() const { return path_; }

 private:
  TarIndex() = default;
  // Fills an index whose path_ is set; `place` says at each moment what is being looked at.
  absl::Status ReadHeaders(const TarLimits& limits, DataPlace& place);

  std::string path_;
  std::vector<TarMember> members_;
  std::unordered_map<std::string, size_t> by_name_;
  // What tells whether the file is still the same.
  struct stat identity_ = {};
};

// Writes USTAR members with mode 0444, owner and group "bigdata" (numbers 0) and time 0: the same
// members give the same bytes. The file is padded to whole records of 10,240 bytes.
class TarWriter {
 public:
  // Errors: StorageError.
  static absl::StatusOr<std::unique_ptr<TarWriter>> Create(FileOps& ops, const std::string& path);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  // Errors: DataError for a name that TarIndex would refuse (also one given twice, or too long for
  // USTAR); StorageError when the file cannot be written.
  absl::Status Add(std::string_view name, std::string_view bytes);
  // Writes the end marker, syncs and closes. The caller renames. Must be the last call; without it the
  // file has no end marker, which TarIndex::Open refuses.
  absl::Status Finish();

 private:
  TarWriter() = default;
  absl::Status Failure(const std::string& operation, std::string_view name);

  std::string path_;
  std::unique_ptr<WritableFile> file_;
  struct archive* archive_ = nullptr;
  absl::Status write_status_;
  bool abandoned_ = false;
  std::unordered_set<std::string> names_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_TAR_H_
