// Every change that Cubist makes to a file system goes through this interface, so that tests can
// record it, fail it or stop the process after any operation.
#ifndef CUBIST_BASE_FILE_OPS_H_
#define CUBIST_BASE_FILE_OPS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// A file being written. Errors are StorageErrors that name path and operation. Destroying an open
// file closes it without a promise about its contents.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status Append(const void* bytes, size_t size) = 0;
  // Returns once the contents are on stable storage (fsync).
  virtual absl::Status Sync() = 0;
  virtual absl::Status Close() = 0;
};

class FileOps {
 public:
  virtual ~FileOps() = default;
  // A new, empty file; replaces an existing one.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens for appending; creates the file if there is none.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) = 0;
  // Makes one folder; it is no error if it exists.
  virtual absl::Status MakeDirectory(const std::string& path) = 0;
  // Atomic within one file system; replaces a file `to`.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status RemoveFile(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;
  virtual absl::Status Truncate(const std::string& path, size_t size) = 0;
  // Makes renames, creations and removals in this folder durable (fsync of the folder).
  virtual absl::Status SyncDirectory(const std::string& path) = 0;

  // What few need: the operating system's, unless overridden.
  // A second name (hard link) for a file. A StorageError where the file system has none, or `to` is on another one.
  virtual absl::Status Link(const std::string& from, const std::string& to);
  // Whoever may read the file may also execute it.
  virtual absl::Status MakeExecutable(const std::string& path);
};

// The operating system's files. Never destroyed.
FileOps& SystemFileOps();

// Whether `path` is a folder, or a link to one.
bool IsDirectory(const std::string& path);

// Makes `path` and its missing parents.
absl::Status MakeDirectories(FileOps& ops, const std::string& path);

// Replaces `path` by `contents` as a whole or not at all: writes "<path>.tmp-<pid>" beside it, syncs,
// renames, syncs the folder. A failure removes the temporary file and is told of `path`. Through a link its target is
// replaced; a device, a pipe or a folder is a StorageError.
absl::Status WriteFileAtomically(FileOps& ops, const std::string& path, std::string_view contents);

// The same for a file that `write` makes and syncs, under the temporary name that it is given.
absl::Status ReplaceFileAtomically(FileOps& ops, const std::string& path,
                                   const std::function<absl::Status(const std::string& temporary)>& write);

// The same for a folder that `fill` fills; its missing parents are made and stay. ConfigError if `path` exists. What is
// in the folder must be synced by `fill`.
// Processes on several hosts may do so at once: one of them gets it in place, the others an error.
absl::Status MakeFolderAtomically(FileOps& ops, const std::string& path,
                                  const std::function<absl::Status(const std::string& temporary)>& fill);

// Removes what processes that were killed in MakeFolderAtomically left of `path`; nobody may be in there now.
absl::Status RemoveLeftovers(FileOps& ops, const std::string& path);

// A new folder "<prefix>-XXXXXX" in $TMPDIR, or /tmp, that nobody else can look into; absolute. Not through FileOps:
// this alone finds a name that nobody has, and no crash is to be survived there.
absl::StatusOr<std::string> MakeTemporaryFolder(const std::string& prefix);

// What is wrong with something that has a temporary name, told of the name that a user knows: `path` wherever the
// message says `temporary`.
absl::Status NamingFinalPath(const absl::Status& status, const std::string& temporary, const std::string& path);

// Removes a file or a folder with all it holds (links are removed, not followed). Nothing there: OK.
absl::Status RemoveTree(FileOps& ops, const std::string& path);

// The whole file; a DataError naming the path if it cannot be read or is larger than `limit` bytes.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t limit = size_t{1} << 30);

}  // namespace cubist

#endif  // CUBIST_BASE_FILE_OPS_H_
