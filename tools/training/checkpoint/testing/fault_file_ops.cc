#include "tools/training/checkpoint/testing/fault_file_ops.h"

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

namespace {

class UnsyncedFile : public WritableFile {
 public:
  explicit UnsyncedFile(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  absl::Status Append(const void* bytes, size_t size) override { return file_->Append(bytes, size); }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Close() override { return file_->Close(); }

 private:
  std::unique_ptr<WritableFile> file_;
};

class UnsyncedOps : public FileOps {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, SystemFileOps().Create(path));
    return std::make_unique<UnsyncedFile>(std::move(file));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, SystemFileOps().OpenForAppend(path));
    return std::make_unique<UnsyncedFile>(std::move(file));
  }
  absl::Status MakeDirectory(const std::string& path) override { return SystemFileOps().MakeDirectory(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return SystemFileOps().Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override { return SystemFileOps().RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override { return SystemFileOps().RemoveDirectory(path); }
  absl::Status Truncate(const std::string& path, size_t size) override { return SystemFileOps().Truncate(path, size); }
  absl::Status SyncDirectory(const std::string&) override { return absl::OkStatus(); }
};

}  // namespace

using Kind = FileOperation::Kind;

FileOps& UnsyncedFileOps() {
  static auto* ops = new UnsyncedOps();
  return *ops;
}

std::string Describe(const std::vector<FileOperation>& log, size_t index) {
  static constexpr const char* kNames[] = {
      "create", "open for append", "append",   "sync",        "close", "make folder",     "rename",
      "remove", "remove folder",   "truncate", "sync folder", "link",  "make executable",
  };
  if (index >= log.size()) return absl::StrCat(index, " (the end)");
  const FileOperation& operation = log[index];
  return absl::StrCat(index, " ", kNames[static_cast<int>(operation.kind)], " ", operation.path,
                      operation.to.empty() ? "" : absl::StrCat(" to ", operation.to),
                      operation.kind == Kind::kAppend ? absl::StrCat(", ", operation.bytes.size(), " bytes") : "");
}

class FaultFileOps::FaultFile : public WritableFile {
 public:
  FaultFile(FaultFileOps& ops, std::string path, int64_t number, std::unique_ptr<WritableFile> file)
      : ops_(ops), path_(std::move(path)), number_(number), file_(std::move(file)) {}

  absl::Status Append(const void* bytes, size_t size) override {
    const absl::Status fault = ops_.Step(path_);
    const size_t written = fault.ok() ? size : size / 2;
    FileOperation operation = Make(Kind::kAppend);
    operation.bytes.assign(static_cast<const char*>(bytes), written);
    RETURN_IF_ERROR(ops_.Log(std::move(operation), file_->Append(bytes, written)));
    return fault;
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(ops_.Step(path_));
    return ops_.Log(Make(Kind::kSync), file_->Sync());
  }
  absl::Status Close() override {
    RETURN_IF_ERROR(ops_.Step(path_));
    return ops_.Log(Make(Kind::kClose), file_->Close());
  }

 private:
  FileOperation Make(Kind kind) const {
    FileOperation operation = {kind, path_};
    operation.file = number_;
    return operation;
  }
  FaultFileOps& ops_;
  const std::string path_;
  const int64_t number_;
  std::unique_ptr<WritableFile> file_;
};

void FaultFileOps::FailAt(size_t index, int error_number, bool until_end) {
  fail_at_ = index;
  error_number_ = error_number;
  until_end_ = until_end;
}

absl::Status FaultFileOps::Step(const std::string& path) {
  const size_t index = count_++;
  if (kill_at_ == index) std::raise(SIGKILL);
  if (fail_at_ && (index == *fail_at_ || (until_end_ && index > *fail_at_))) {
    return StorageError(absl::StrCat(path, ": injected: ", ErrnoText(error_number_)));
  }
  return absl::OkStatus();
}

absl::Status FaultFileOps::Log(FileOperation operation, const absl::Status& status) {
  if (status.ok()) log_.push_back(std::move(operation));
  return status;
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileOps::Open(Kind kind, const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file,
                   kind == Kind::kCreate ? inner_.Create(path) : inner_.OpenForAppend(path));
  FileOperation operation = {kind, path};
  operation.file = files_;
  log_.push_back(std::move(operation));
  return std::make_unique<FaultFile>(*this, path, files_++, std::move(file));
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileOps::Create(const std::string& path) {
  return Open(Kind::kCreate, path);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileOps::OpenForAppend(const std::string& path) {
  return Open(Kind::kOpenForAppend, path);
}

absl::Status FaultFileOps::MakeDirectory(const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  return Log({Kind::kMakeDirectory, path}, inner_.MakeDirectory(path));
}

absl::Status FaultFileOps::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Step(from));
  return Log({Kind::kRename, from, to}, inner_.Rename(from, to));
}

absl::Status FaultFileOps::RemoveFile(const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  return Log({Kind::kRemoveFile, path}, inner_.RemoveFile(path));
}

absl::Status FaultFileOps::RemoveDirectory(const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  return Log({Kind::kRemoveDirectory, path}, inner_.RemoveDirectory(path));
}

absl::Status FaultFileOps::Truncate(const std::string& path, size_t size) {
  RETURN_IF_ERROR(Step(path));
  FileOperation operation = {Kind::kTruncate, path};
  operation.size = size;
  return Log(std::move(operation), inner_.Truncate(path, size));
}

absl::Status FaultFileOps::SyncDirectory(const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  return Log({Kind::kSyncDirectory, path}, inner_.SyncDirectory(path));
}

absl::Status FaultFileOps::Link(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Step(from));
  return Log({Kind::kLink, from, to}, inner_.Link(from, to));
}

absl::Status FaultFileOps::MakeExecutable(const std::string& path) {
  RETURN_IF_ERROR(Step(path));
  return Log({Kind::kMakeExecutable, path}, inner_.MakeExecutable(path));
}

}  // namespace cubist
