#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::StatusOr<bool> FileLock::Wait(const std::string& path, const std::function<absl::Status()>& look) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return StorageError(absl::StrCat(path, ": cannot open the lock: ", ErrnoText(errno)));
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    if (look) RETURN_IF_ERROR(look());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

}  // namespace cubist
