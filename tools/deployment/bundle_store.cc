#include "tools/deployment/bundle_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/program_version.h"
#include "base/status.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// No data and nothing that a crash leaves: does not go through FileOps. The file stays; removing it would let two
// processes lock two files of its name.
class StoreLock {
 public:
  ~StoreLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  // Whether it is held now: it is not where the file system has no locks.
  absl::StatusOr<bool> Wait(const std::string& path, const BundleProgress& progress) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) return StorageError(absl::StrCat(path, ": cannot open the lock: ", ErrnoText(errno)));
    while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return false;
      if (progress) RETURN_IF_ERROR(progress(0, 1));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return true;
  }

 private:
  int descriptor_ = -1;
};

// "cubist-0.1" of "cubist 0.1 (build 0123)".
std::string Release() {
  const std::string version = ProgramVersion();
  std::string release = version.substr(0, version.find(" ("));
  std::replace(release.begin(), release.end(), ' ', '-');
  return release;
}

// What MakeFolderAtomically left of `folder` when it was killed.
absl::Status RemoveLeftovers(FileOps& ops, const std::string& folder) {
  const fs::path path = folder;
  const std::string start = path.filename().string() + ".tmp-";
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path.parent_path(), error)) {
    if (!absl::StartsWith(entry.path().filename().string(), start)) continue;
    RETURN_IF_ERROR(RemoveTree(ops, entry.path().string()));
  }
  return error ? StorageError(absl::StrCat(path.parent_path().string(), ": cannot list: ", error.message()))
               : absl::OkStatus();
}

absl::StatusOr<std::string> FolderOf(const BundlePlan& plan, const std::string& parent) {
  ASSIGN_OR_RETURN(const std::string id, BundleId(plan));
  return absl::StrCat(parent, "/", Release(), "-", id);
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

std::optional<std::string> BundleOf(const std::string& program_path) {
  std::string folder = fs::path(program_path).parent_path().string();
  if (!Exists(folder + "/MANIFEST")) return std::nullopt;
  return folder;
}

absl::StatusOr<std::string> BundleFolder(const BundleSources& sources, const std::string& parent) {
  ASSIGN_OR_RETURN(const BundlePlan plan, PlanBundle(sources));
  return FolderOf(plan, parent);
}

absl::StatusOr<std::string> EnsureBundle(FileOps& ops, const BundleSources& sources, const std::string& parent,
                                         const BundleProgress& progress) {
  ASSIGN_OR_RETURN(const BundlePlan plan, PlanBundle(sources));
  ASSIGN_OR_RETURN(const std::string folder, FolderOf(plan, parent));
  RETURN_IF_ERROR(MakeDirectories(ops, parent));
  StoreLock lock;
  ASSIGN_OR_RETURN(const bool is_locked, lock.Wait(parent + "/lock", progress));
  if (is_locked) RETURN_IF_ERROR(RemoveLeftovers(ops, folder));
  if (!Exists(folder)) {
    const absl::Status written = WriteBundle(ops, plan, folder, progress);
    if (!written.ok() && !Exists(folder)) return written;
  }
  RETURN_IF_ERROR(CheckBundle(folder));
  return folder;
}

}  // namespace cubist
