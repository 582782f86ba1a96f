#include "tools/deployment/bundle_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file_lock.h"
#include "base/program_version.h"
#include "base/status.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// "cubist-0.1" of "cubist 0.1 (build 0123)".
std::string Release() {
  const std::string version = ProgramVersion();
  std::string release = version.substr(0, version.find(" ("));
  std::replace(release.begin(), release.end(), ' ', '-');
  return release;
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
  FileLock lock;
  const auto look = [&progress] { return progress ? progress(0, 1) : absl::OkStatus(); };
  ASSIGN_OR_RETURN(const bool is_locked, lock.Wait(parent + "/lock", look));
  if (is_locked) RETURN_IF_ERROR(RemoveLeftovers(ops, folder));
  if (!Exists(folder)) {
    const absl::Status written = WriteBundle(ops, plan, folder, progress);
    if (!written.ok() && !Exists(folder)) return written;
  }
  RETURN_IF_ERROR(CheckBundle(folder));
  return folder;
}

}  // namespace cubist
