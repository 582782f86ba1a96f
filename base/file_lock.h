// A lock that processes wait for, on any hosts of one file system.
#ifndef CUBIST_BASE_FILE_LOCK_H_
#define CUBIST_BASE_FILE_LOCK_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Held from Wait() until it is destroyed or its process dies. No data and nothing that a crash leaves: does not go
// through FileOps. The file stays; removing it would let two processes lock two files of its name.
class FileLock {
 public:
  FileLock() = default;
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Whether it is held now: it is not where the file system has no locks. `look` (may be null) is called some times a
  // second; an error of it ends the wait. StorageError if the file cannot be opened or made. Once.
  absl::StatusOr<bool> Wait(const std::string& path, const std::function<absl::Status()>& look);

 private:
  int descriptor_ = -1;
};

}  // namespace cubist

#endif  // CUBIST_BASE_FILE_LOCK_H_
