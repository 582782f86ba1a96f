#include "tools/training/checkpoint/run_folder.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

// "a/b/" and "a//b" become "a/b"; the root stays.
std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : WithoutTrailingSlashes(path.substr(0, slash));
}

// N in "<base>-N" for N of at least 2 as it would be written; else 0.
int64_t NumberAfter(const std::string& name, const std::string& base) {
  if (name.size() <= base.size() + 1 || name.compare(0, base.size() + 1, base + "-") != 0) return 0;
  const std::string digits = name.substr(base.size() + 1);
  if (digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) return 0;
  const int64_t number = std::stoll(digits);
  return number >= 2 && std::to_string(number) == digits ? number : 0;
}

}  // namespace

absl::StatusOr<std::string> ChooseRunFolder(const std::string& base_in, bool fresh) {
  const std::string base = WithoutTrailingSlashes(base_in);
  const std::string parent = ParentOf(base);
  const std::string name = base.substr(base.find_last_of('/') + 1);
  if (base.empty() || name.empty()) return ConfigError(absl::StrCat("\"", base_in, "\" is no folder for a run"));
  DIR* folder = ::opendir(parent.c_str());
  if (folder == nullptr && errno == ENOENT) return base;
  if (folder == nullptr) return StorageError(absl::StrCat(parent, ": cannot list: ", ErrnoText(errno)));
  int64_t highest = 0;
  errno = 0;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string found = entry->d_name;
    highest = std::max(highest, found == name ? 1 : NumberAfter(found, name));
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(folder);
  if (error_number != 0) return StorageError(absl::StrCat(parent, ": cannot list: ", ErrnoText(error_number)));
  if (fresh) ++highest;
  return highest <= 1 ? base : absl::StrCat(base, "-", highest);
}

absl::StatusOr<std::string> RunFolderFor(const std::string& parent, std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 200 && name.front() != '.' &&
                     std::none_of(name.begin(), name.end(),
                                  [](unsigned char c) { return c < ' ' || c == 0x7f || c == '/' || c == '\\'; });
  if (!plain) {
    return ConfigError(absl::StrCat("run name \"", std::string(name),
                                    "\": must be one to 200 characters, without '/', '\\' or control characters, and "
                                    "not begin with '.'; give another with --wname, or a folder with --run_dir"));
  }
  return absl::StrCat(parent, "/", std::string(name));
}

absl::Status MakeDurableDirectories(FileOps& ops, const std::string& path_in) {
  const std::string path = WithoutTrailingSlashes(path_in);
  struct stat info;
  if (path.empty() || (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))) return absl::OkStatus();
  const std::string parent = ParentOf(path);
  if (parent != path) RETURN_IF_ERROR(MakeDurableDirectories(ops, parent));
  RETURN_IF_ERROR(ops.MakeDirectory(path));
  return ops.SyncDirectory(parent);
}

absl::StatusOr<RunFolder> RunFolder::Create(FileOps& ops, const std::string& path) {
  const RunFolder folder(WithoutTrailingSlashes(path));
  for (const std::string& made :
       {folder.path(), folder.events_path(), folder.pictures_path(), folder.logs_path(), folder.checkpoints_path()}) {
    RETURN_IF_ERROR(MakeDurableDirectories(ops, made));
  }
  return folder;
}

absl::Status RunFolder::WriteConfig(FileOps& ops, std::string_view text) const {
  return WriteFileAtomically(ops, config_path(), text);
}

}  // namespace cubist
