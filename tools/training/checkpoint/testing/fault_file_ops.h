// FileOps that keep a log of what was done and can fail, or end the process, at any operation.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FAULT_FILE_OPS_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FAULT_FILE_OPS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_ops.h"

namespace cubist {

struct FileOperation {
  enum class Kind {
    kCreate,
    kOpenForAppend,
    kAppend,
    kSync,
    kClose,
    kMakeDirectory,
    kRename,
    kRemoveFile,
    kRemoveDirectory,
    kTruncate,
    kSyncDirectory,
    kLink,
    kMakeExecutable,
  };
  Kind kind;
  std::string path;        // for kAppend, kSync and kClose: as it was when the file was opened
  std::string to = {};     // kRename, kLink
  int64_t file = -1;       // kCreate, kOpenForAppend, kAppend, kSync, kClose: which opened file
  std::string bytes = {};  // kAppend
  size_t size = 0;         // kTruncate
};

// The operating system's files without waiting for stable storage: for tests that rebuild a folder
// thousands of times and do not lose power themselves. Never destroyed.
FileOps& UnsyncedFileOps();

// "3 rename /a to /b": for messages of tests.
std::string Describe(const std::vector<FileOperation>& log, size_t index);

// Operations are counted from 0 in the order of the calls. One thread at a time.
class FaultFileOps : public FileOps {
 public:
  explicit FaultFileOps(FileOps& inner) : inner_(inner) {}

  // Operation `index` fails with a StorageError for `error_number` (ENOSPC, EIO) and does nothing, or,
  // if it is an Append, writes only the first half. `until_end`: so do all that follow.
  void FailAt(size_t index, int error_number, bool until_end = false);
  // The process gets SIGKILL instead of operation `index`.
  void KillAt(size_t index) { kill_at_ = index; }

  // What was done, without what failed; a half-written Append stands there with its half.
  const std::vector<FileOperation>& log() const { return log_; }
  // Operations asked for so far, failed ones included.
  size_t count() const { return count_; }

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status Truncate(const std::string& path, size_t size) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status Link(const std::string& from, const std::string& to) override;
  absl::Status MakeExecutable(const std::string& path) override;

 private:
  class FaultFile;
  // Counts an operation; the error it is to fail with, if any.
  absl::Status Step(const std::string& path);
  absl::Status Log(FileOperation operation, const absl::Status& status);
  absl::StatusOr<std::unique_ptr<WritableFile>> Open(FileOperation::Kind kind, const std::string& path);

  FileOps& inner_;
  std::vector<FileOperation> log_;
  size_t count_ = 0;
  int64_t files_ = 0;
  std::optional<size_t> kill_at_;
  std::optional<size_t> fail_at_;
  int error_number_ = 0;
  bool until_end_ = false;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_FAULT_FILE_OPS_H_
