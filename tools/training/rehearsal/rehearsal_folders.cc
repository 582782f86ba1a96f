#include "tools/training/rehearsal/rehearsal_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
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
  ASSIGN_OR_RETURN(std::string temporary, MakeTemporaryFolder("cubist-rehearsal"));
  return std::unique_ptr<RehearsalFolders>(new RehearsalFolders(ops, std::move(temporary), run_folder));
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
