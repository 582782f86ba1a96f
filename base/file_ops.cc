#include "base/file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr char kTemporaryMark[] = ".tmp-";

absl::Status SystemError(const std::string& operation, const std::string& path) {
  const int error_number = errno;
  return StorageError(absl::StrCat(path, ": cannot ", operation, ": ", ErrnoText(error_number),
                                   error_number == ENOSPC ? "; free some space and start again" : ""));
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class SystemFile : public WritableFile {
 public:
  SystemFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  ~SystemFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  absl::Status Append(const void* bytes, size_t size) override {
    const char* next = static_cast<const char*>(bytes);
    while (size > 0) {
      const ssize_t written = ::write(descriptor_, next, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError("write", path_);
      next += written;
      size -= static_cast<size_t>(written);
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override { return ::fsync(descriptor_) == 0 ? absl::OkStatus() : SystemError("sync", path_); }
  absl::Status Close() override {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return ::close(descriptor) == 0 ? absl::OkStatus() : SystemError("close", path_);
  }

 private:
  std::string path_;
  int descriptor_;
};

class SystemOps : public FileOps {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return Open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
  }
  absl::Status MakeDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0777) == 0) return absl::OkStatus();
    const int error_number = errno;
    struct stat info;
    if (error_number == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
    errno = error_number;
    return SystemError("make this folder", path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                                   : SystemError(absl::StrCat("rename to ", to), from);
  }
  absl::Status RemoveFile(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? absl::OkStatus() : SystemError("remove", path);
  }
  absl::Status RemoveDirectory(const std::string& path) override {
    return ::rmdir(path.c_str()) == 0 ? absl::OkStatus() : SystemError("remove this folder", path);
  }
  absl::Status Truncate(const std::string& path, size_t size) override {
    return ::truncate(path.c_str(), static_cast<off_t>(size)) == 0 ? absl::OkStatus() : SystemError("truncate", path);
  }
  absl::Status SyncDirectory(const std::string& path) override {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return SystemError("open this folder", path);
    const bool synced = ::fsync(descriptor) == 0;
    const absl::Status status = synced ? absl::OkStatus() : SystemError("sync this folder", path);
    ::close(descriptor);
    return status;
  }

 private:
  absl::StatusOr<std::unique_ptr<WritableFile>> Open(const std::string& path, int flags) {
    const int descriptor = ::open(path.c_str(), flags, 0666);
    if (descriptor < 0) return SystemError("open for writing", path);
    return std::make_unique<SystemFile>(path, descriptor);
  }
};

// Where a file is renamed to that is to lie at `path`: a link stays, and its target is replaced.
absl::StatusOr<std::string> ReplaceablePath(const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return path;
  if (S_ISLNK(info.st_mode)) {
    std::error_code error;
    std::filesystem::path target = std::filesystem::canonical(path, error);
    // A link to what is not there yet.
    if (error) target = std::filesystem::path(ParentOf(path)) / std::filesystem::read_symlink(path, error);
    if (!error && (::lstat(target.c_str(), &info) != 0 || S_ISREG(info.st_mode))) return target.string();
  }
  return StorageError(absl::StrCat(path, ": there is something that is no file; name another path"));
}

}  // namespace

absl::Status FileOps::Link(const std::string& from, const std::string& to) {
  return ::link(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : SystemError(absl::StrCat("link as ", to), from);
}

absl::Status FileOps::MakeExecutable(const std::string& path) {
  struct stat info;
  const bool done = ::stat(path.c_str(), &info) == 0 &&
                    ::chmod(path.c_str(), (info.st_mode & 07777) | ((info.st_mode & 0444) >> 2)) == 0;
  return done ? absl::OkStatus() : SystemError("make executable", path);
}

FileOps& SystemFileOps() {
  static FileOps& ops = []() -> FileOps& {
    // A limit on file sizes then fails a write by name instead of ending the process.
    std::signal(SIGXFSZ, SIG_IGN);
    return *new SystemOps();
  }();
  return ops;
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

absl::Status MakeDirectories(FileOps& ops, const std::string& path) {
  if (path.empty() || IsDirectory(path)) return absl::OkStatus();
  const std::string parent = ParentOf(path);
  if (parent != path) RETURN_IF_ERROR(MakeDirectories(ops, parent));
  return ops.MakeDirectory(path);
}

absl::Status ReplaceFileAtomically(FileOps& ops, const std::string& wanted,
                                   const std::function<absl::Status(const std::string& temporary)>& write) {
  ASSIGN_OR_RETURN(const std::string path, ReplaceablePath(wanted));
  const std::string temporary = absl::StrCat(path, kTemporaryMark, ::getpid());
  absl::Status status = write(temporary);
  if (status.ok()) status = ops.Rename(temporary, path);
  if (status.ok()) return ops.SyncDirectory(ParentOf(path));
  struct stat info;
  if (::lstat(temporary.c_str(), &info) == 0) ops.RemoveFile(temporary).IgnoreError();
  return NamingFinalPath(status, temporary, path);
}

absl::Status MakeFolderAtomically(FileOps& ops, const std::string& path,
                                  const std::function<absl::Status(const std::string& temporary)>& fill) {
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0)
    return ConfigError(absl::StrCat(path, ": exists already; name another folder"));
  // A process on another host may have our number.
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  const std::string parent = ParentOf(path), temporary = absl::StrCat(path, kTemporaryMark, host, "-", ::getpid());
  RETURN_IF_ERROR(MakeDirectories(ops, parent));
  RETURN_IF_ERROR(NamingFinalPath(ops.MakeDirectory(temporary), temporary, path));
  absl::Status status = fill(temporary);
  if (status.ok()) status = ops.SyncDirectory(temporary);
  if (status.ok()) status = ops.Rename(temporary, path);
  if (status.ok()) return ops.SyncDirectory(parent);
  RemoveTree(ops, temporary).IgnoreError();
  return NamingFinalPath(status, temporary, path);
}

absl::Status RemoveLeftovers(FileOps& ops, const std::string& path) {
  const std::string parent = ParentOf(path);
  const std::string start = absl::StrCat(std::filesystem::path(path).filename().string(), kTemporaryMark);
  std::error_code error;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(parent, error)) {
    if (!absl::StartsWith(entry.path().filename().string(), start)) continue;
    RETURN_IF_ERROR(RemoveTree(ops, entry.path().string()));
  }
  return error ? StorageError(absl::StrCat(parent, ": cannot list: ", error.message())) : absl::OkStatus();
}

absl::StatusOr<std::string> MakeTemporaryFolder(const std::string& prefix) {
  const char* given = std::getenv("TMPDIR");
  std::string path = absl::StrCat(given != nullptr && *given != '\0' ? given : "/tmp", "/", prefix, "-XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) {
    return StorageError(absl::StrCat(path, ": cannot make a temporary folder: ", ErrnoText(errno),
                                     "; name a place for it in the environment variable TMPDIR"));
  }
  return std::filesystem::absolute(path).lexically_normal().string();
}

absl::Status WriteFileAtomically(FileOps& ops, const std::string& path, std::string_view contents) {
  return ReplaceFileAtomically(ops, path, [&](const std::string& temporary) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.Create(temporary));
    RETURN_IF_ERROR(file->Append(contents.data(), contents.size()));
    RETURN_IF_ERROR(file->Sync());
    return file->Close();
  });
}

absl::Status NamingFinalPath(const absl::Status& status, const std::string& temporary, const std::string& path) {
  return WithMessage(status,
                     absl::StrReplaceAll(status.message(), {{absl::StrCat(temporary, ": cannot rename to ", path),
                                                             absl::StrCat(path, ": cannot put it in place")},
                                                            {temporary, path}}));
}

absl::Status RemoveTree(FileOps& ops, const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SystemError("look at", path);
  }
  if (!S_ISDIR(info.st_mode)) return ops.RemoveFile(path);
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return SystemError("open this folder", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(folder);
  for (const std::string& name : names) RETURN_IF_ERROR(RemoveTree(ops, absl::StrCat(path, "/", name)));
  return ops.RemoveDirectory(path);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t limit) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return DataError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  std::string contents;
  std::vector<char> buffer(1 << 16);
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const std::string reason = ErrnoText(errno);
      ::close(descriptor);
      return DataError(absl::StrCat(path, ": cannot read: ", reason));
    }
    if (count == 0) break;
    if (contents.size() + static_cast<size_t>(count) > limit) {
      ::close(descriptor);
      return DataError(absl::StrCat(path, ": larger than the limit of ", limit, " bytes"));
    }
    contents.append(buffer.data(), static_cast<size_t>(count));
  }
  ::close(descriptor);
  return contents;
}

}  // namespace cubist
