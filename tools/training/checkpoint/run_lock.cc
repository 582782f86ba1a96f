#include "tools/training/checkpoint/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr size_t kLongestHolder = 1024;

std::string DescribeThisProcess() {
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  const char* job = std::getenv("SLURM_JOB_ID");
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  char since[32] = {};
  std::strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return absl::StrCat("host ", host, ", process ", ::getpid(), job == nullptr ? "" : absl::StrCat(", SLURM job ", job),
                      ", since ", since);
}

// The text in the file, with what could disturb a terminal replaced.
std::string ReadHolder(int descriptor) {
  std::string text(kLongestHolder, '\0');
  const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

// Whether `path` is still the file that was opened: it may have been removed while we waited for it.
bool IsStill(const std::string& path, int descriptor) {
  struct stat by_path, by_descriptor;
  return ::stat(path.c_str(), &by_path) == 0 && ::fstat(descriptor, &by_descriptor) == 0 &&
         by_path.st_dev == by_descriptor.st_dev && by_path.st_ino == by_descriptor.st_ino;
}

int LockNow(int descriptor) {
  int result;
  do {
    result = ::flock(descriptor, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

}  // namespace

RunLock::RunLock(std::string path, int descriptor, std::string stale_holder)
    : path_(std::move(path)), descriptor_(descriptor), stale_holder_(std::move(stale_holder)) {}

absl::StatusOr<std::unique_ptr<RunLock>> RunLock::Acquire(const std::string& path) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return StorageError(absl::StrCat(path, ": cannot open the run's lock: ", ErrnoText(errno)));
    const int error_number = LockNow(descriptor);
    const std::string holder = ReadHolder(descriptor);
    if (error_number == 0 && IsStill(path, descriptor)) {
      const std::string text = DescribeThisProcess() + "\n";
      if (::ftruncate(descriptor, 0) != 0 ||
          ::pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        const absl::Status status = StorageError(absl::StrCat(path, ": cannot write: ", ErrnoText(errno)));
        ::close(descriptor);
        return status;
      }
      return std::unique_ptr<RunLock>(new RunLock(path, descriptor, holder));
    }
    ::close(descriptor);
    if (error_number == 0) continue;
    if (error_number != EWOULDBLOCK) {
      return StorageError(absl::StrCat(path, ": cannot lock: ", ErrnoText(error_number),
                                       "; the file system must support flock: give another folder with --run_dir"));
    }
    return StorageError(absl::StrCat(path, ": another run is using this folder (",
                                     holder.empty() ? "which one is not known" : holder,
                                     "); wait for it or stop it, or start a new run with --fresh or --wname"));
  }
  return StorageError(absl::StrCat(path, ": the lock file is being removed again and again by somebody else"));
}

RunLock::~RunLock() {
  // An empty file says that nobody was killed.
  const bool emptied = ::ftruncate(descriptor_, 0) == 0;
  static_cast<void>(emptied);
  ::close(descriptor_);
}

absl::Status RunLock::ShareWithChildren() {
  const int flags = ::fcntl(descriptor_, F_GETFD);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFD, flags & ~FD_CLOEXEC) != 0) {
    return StorageError(absl::StrCat(path_, ": cannot share the lock: ", ErrnoText(errno)));
  }
  return absl::OkStatus();
}

}  // namespace cubist
