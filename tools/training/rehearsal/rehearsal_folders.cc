#include "tools/training/rehearsal/rehearsal_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RehearsalFolders>> RehearsalFolders::Make(FileOps& ops, const std::string& run_folder) {
  const char* given = std::getenv("TMPDIR");
  std::string path = absl::StrCat(given != nullptr && *given != '\0' ? given : "/tmp", "/cubist-rehearsal-XXXXXX");
  // Not through FileOps: this alone finds a name that nobody has, and no crash is to be survived here.
  if (::mkdtemp(path.data()) == nullptr) {
    return StorageError(absl::StrCat(path, ": cannot make a temporary folder: ", ErrnoText(errno),
                                     "; name a place for it in the environment variable TMPDIR"));
  }
  return std::unique_ptr<RehearsalFolders>(
      new RehearsalFolders(ops, std::filesystem::absolute(path).lexically_normal().string(), run_folder));
}

RehearsalFolders::RehearsalFolders(FileOps& ops, std::string temporary, const std::string& run_folder)
    : ops_(ops), temporary_(std::move(temporary)) {
  std::filesystem::path run = run_folder;
  if (!run.has_filename()) run = run.parent_path();  // "runs/a/"
  std::filesystem::path parent = run.has_parent_path() ? run.parent_path() : ".";
  beside_run_ = absl::StrCat(parent.string(), "/.preflight-", ::getpid());
  for (; !parent.empty() && !Exists(parent.string()); parent = parent.parent_path()) {
    missing_parents_.push_back(parent.string());
  }
}

RehearsalFolders::~RehearsalFolders() {
  Remove(temporary_);
  Remove(beside_run_);
  for (const std::string& parent : missing_parents_) {
    // Somebody else's files in it by now: it stays, as a folder that is not empty.
    if (Exists(parent)) ops_.RemoveDirectory(parent).IgnoreError();
  }
}

void RehearsalFolders::Remove(const std::string& path) {
  const absl::Status status = Exists(path) ? RemoveTree(ops_, path) : absl::OkStatus();
  if (!status.ok()) {
    std::fprintf(stderr, "train: %s; remove %s by hand\n", std::string(status.message()).c_str(), path.c_str());
  }
}

}  // namespace cubist
