#include "tools/training/checkpoint/checkpoint_store.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "tools/training/checkpoint/hashes.h"
#include "tools/training/checkpoint/manifest.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

constexpr char kTemporaryMark[] = ".tmp-";
constexpr char kReplacedPrefix[] = ".replaced-";
constexpr char kTrashPrefix[] = ".trash-";
constexpr char kSetAsidePrefix[] = ".set-aside-";

std::string StepName(int64_t step) { return absl::StrFormat("step-%09d", step); }

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// The step in "step-000006250", if `name` is exactly how that step is written.
std::optional<int64_t> StepOf(std::string_view name) {
  constexpr std::string_view kPrefix = "step-";
  if (!StartsWith(name, kPrefix) || name.size() > kPrefix.size() + 18) return std::nullopt;
  const std::string digits(name.substr(kPrefix.size()));
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const int64_t step = std::stoll(digits);
  if (StepName(step) != name) return std::nullopt;
  return step;
}

// The step in ".replaced-step-000006250.<id>".
std::optional<int64_t> StepOfReplaced(std::string_view name) {
  if (!StartsWith(name, kReplacedPrefix)) return std::nullopt;
  name.remove_prefix(sizeof(kReplacedPrefix) - 1);
  return StepOf(name.substr(0, name.find('.')));
}

absl::StatusOr<bool> Exists(const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return StorageError(absl::StrCat(path, ": cannot look at: ", ErrnoText(errno)));
}

absl::StatusOr<bool> HasManifest(const std::string& folder) { return Exists(absl::StrCat(folder, "/", kManifestName)); }

// Sorted; empty if there is no such folder.
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& folder) {
  std::vector<std::string> names;
  DIR* stream = ::opendir(folder.c_str());
  if (stream == nullptr) {
    if (errno == ENOENT) return names;
    return StorageError(absl::StrCat(folder, ": cannot list: ", ErrnoText(errno)));
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    names.emplace_back(entry->d_name);
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(stream);
  if (error_number != 0) return StorageError(absl::StrCat(folder, ": cannot list: ", ErrnoText(error_number)));
  std::sort(names.begin(), names.end());
  return names;
}

std::string SpaceText(const std::string& folder, uint64_t needed) {
  struct statvfs info;
  const std::string need = absl::StrFormat("it needs %.3f GB", static_cast<double>(needed) * 1e-9);
  if (::statvfs(folder.c_str(), &info) != 0) return need;
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  return need + absl::StrFormat(", %.3f GB are free in %s", free * 1e-9, folder);
}

// What was written through it, as the manifest records it: the size, and the safetensors header.
class HeaderTap : public FileOps {
 public:
  explicit HeaderTap(FileOps& ops) : ops_(ops) {}

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, ops_.Create(path));
    return std::make_unique<TappedFile>(std::move(file), *this);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return InternalError(absl::StrCat(path, ": tensor files are not appended to"));
  }
  absl::Status MakeDirectory(const std::string& path) override { return ops_.MakeDirectory(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override { return ops_.Rename(from, to); }
  absl::Status RemoveFile(const std::string& path) override { return ops_.RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override { return ops_.RemoveDirectory(path); }
  absl::Status Truncate(const std::string& path, size_t size) override { return ops_.Truncate(path, size); }
  absl::Status SyncDirectory(const std::string& path) override { return ops_.SyncDirectory(path); }

  uint64_t size() const { return size_; }
  const std::string& header() const { return header_; }

 private:
  class TappedFile : public WritableFile {
   public:
    TappedFile(std::unique_ptr<WritableFile> file, HeaderTap& tap) : file_(std::move(file)), tap_(tap) {}
    absl::Status Append(const void* bytes, size_t size) override {
      tap_.See(static_cast<const char*>(bytes), size);
      return file_->Append(bytes, size);
    }
    absl::Status Sync() override { return file_->Sync(); }
    absl::Status Close() override { return file_->Close(); }

   private:
    std::unique_ptr<WritableFile> file_;
    HeaderTap& tap_;
  };

  void See(const char* bytes, size_t size) {
    size_ += size;
    while (size > 0 && header_.size() < HeaderSize()) {
      const size_t count = static_cast<size_t>(std::min<uint64_t>(size, HeaderSize() - header_.size()));
      header_.append(bytes, count);
      bytes += count;
      size -= count;
    }
  }
  // 8 bytes until they say how long the rest is.
  uint64_t HeaderSize() const {
    uint64_t length = 0;
    if (header_.size() < 8) return 8;
    for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(header_[i]);
    return length + 8;
  }

  FileOps& ops_;
  uint64_t size_ = 0;
  std::string header_;
};

// Equal messages give equal bytes: map fields are sorted.
std::string Serialise(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

absl::Status WriteSyncedFile(FileOps& ops, const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, ops.Create(path));
  RETURN_IF_ERROR(file->Append(bytes.data(), bytes.size()));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status AddPlainFile(FileOps& ops, const std::string& folder, const char* name, const std::string& bytes,
                          checkpoint::Manifest& manifest) {
  checkpoint::PlainFile& file = *manifest.add_plain_files();
  file.set_name(name);
  file.set_size(bytes.size());
  file.set_sha256(Sha256Hex(bytes));
  return WriteSyncedFile(ops, absl::StrCat(folder, "/", name), bytes);
}

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

double Now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

CheckpointStore::CheckpointStore(FileOps& ops, std::string folder, Retention retention,
                                 std::function<void(const std::string&)> warn)
    : ops_(ops), folder_(std::move(folder)), retention_(retention), warn_(std::move(warn)) {}

std::string CheckpointStore::FolderOf(int64_t step) const { return absl::StrCat(folder_, "/", StepName(step)); }

std::string CheckpointStore::NewId() {
  // In a container every start may have the same process number.
  return absl::StrCat(::getpid(), "-", static_cast<int64_t>(Now() * 1e3), "-", next_id_++);
}

void CheckpointStore::Warn(const std::string& line) const {
  if (warn_) {
    warn_(line);
  } else {
    std::fprintf(stderr, "warning: %s\n", line.c_str());
  }
}

// ---- What is there ----

absl::StatusOr<std::vector<int64_t>> CheckpointStore::List() const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  std::vector<int64_t> steps;
  for (const std::string& name : names) {
    const std::optional<int64_t> step = StepOf(name);
    if (!step) continue;
    ASSIGN_OR_RETURN(const bool committed, HasManifest(absl::StrCat(folder_, "/", name)));
    if (committed) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

absl::StatusOr<std::optional<int64_t>> CheckpointStore::Latest() const {
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, List());
  return steps.empty() ? std::nullopt : std::optional<int64_t>(steps.back());
}

absl::StatusOr<Checkpoint> CheckpointStore::Load(int64_t step) const {
  ASSIGN_OR_RETURN(Checkpoint opened, Checkpoint::Open(FolderOf(step)));
  if (opened.step() != step) {
    return StorageError(absl::StrCat(FolderOf(step), ": holds a checkpoint of step ", opened.step(),
                                     "; the folder was renamed or copied: give it its own name again"));
  }
  return opened;
}

absl::StatusOr<std::optional<LoadReport>> CheckpointStore::LoadLatest(bool allow_fallback) const {
  ASSIGN_OR_RETURN(std::vector<int64_t> steps, List());
  std::vector<std::pair<int64_t, absl::Status>> passed_over;
  for (; !steps.empty(); steps.pop_back()) {
    const int64_t step = steps.back();
    absl::StatusOr<Checkpoint> opened = Load(step);
    const absl::Status status = opened.ok() ? opened->Verify() : opened.status();
    if (status.ok()) {
      if (!passed_over.empty()) {
        Warn(absl::StrCat("going on from step ", step, " instead of step ", passed_over.front().first,
                          ", as --allow_fallback allows"));
      }
      return std::optional<LoadReport>(LoadReport{*std::move(opened), std::move(passed_over)});
    }
    if (!allow_fallback) {
      return Annotate(status, absl::StrCat("the latest checkpoint (step ", step,
                                           ") cannot be used; --allow_fallback goes on from the next older one"));
    }
    Warn(absl::StrCat("the checkpoint of step ", step, " cannot be used: ", std::string(status.message())));
    passed_over.emplace_back(step, status);
  }
  if (passed_over.empty()) return std::optional<LoadReport>();
  return Annotate(passed_over.front().second,
                  absl::StrCat(folder_, ": none of ", passed_over.size(),
                               " checkpoints can be used (--fresh starts a new run); the newest"));
}

// ---- Removing ----

absl::Status CheckpointStore::Discard(const std::string& name, const std::string& trash_name) {
  const std::string trash = absl::StrCat(folder_, "/", trash_name);
  if (name != trash_name) {
    RETURN_IF_ERROR(ops_.Rename(absl::StrCat(folder_, "/", name), trash));
    // Or a crash could leave a folder of the old name with a part of its files.
    RETURN_IF_ERROR(ops_.SyncDirectory(folder_));
  }
  RETURN_IF_ERROR(RemoveTree(ops_, trash));
  return ops_.SyncDirectory(folder_);
}

absl::Status CheckpointStore::Clean() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  // First what a replaced checkpoint needs to come back: hidden names sort before "step-".
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(folder_, "/", name);
    if (const std::optional<int64_t> replaced = StepOfReplaced(name)) {
      ASSIGN_OR_RETURN(const bool has_successor, HasManifest(FolderOf(*replaced)));
      ASSIGN_OR_RETURN(const bool committed, HasManifest(path));
      ASSIGN_OR_RETURN(const bool in_the_way, Exists(FolderOf(*replaced)));
      if (!has_successor && committed && !in_the_way) {
        RETURN_IF_ERROR(ops_.Rename(path, FolderOf(*replaced)));
        RETURN_IF_ERROR(ops_.SyncDirectory(folder_));
      } else {
        RETURN_IF_ERROR(Discard(name, absl::StrCat(kTrashPrefix, StepName(*replaced), ".", NewId())));
      }
    } else if (StartsWith(name, kTrashPrefix)) {
      RETURN_IF_ERROR(Discard(name, name));
    } else if (const size_t mark = name.find(kTemporaryMark);
               mark != std::string::npos && StepOf(std::string_view(name).substr(0, mark))) {
      RETURN_IF_ERROR(Discard(name, absl::StrCat(kTrashPrefix, StepName(*StepOf(name.substr(0, mark))), ".", NewId())));
    } else if (const std::optional<int64_t> step = StepOf(name)) {
      ASSIGN_OR_RETURN(const bool committed, HasManifest(path));
      if (committed) continue;
      Warn(absl::StrCat(path, ": has no ", kManifestName, ", so it is no checkpoint: removing it"));
      RETURN_IF_ERROR(Discard(name, absl::StrCat(kTrashPrefix, name, ".", NewId())));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckpointStore::Delete(int64_t step) {
  ASSIGN_OR_RETURN(const bool exists, Exists(FolderOf(step)));
  if (!exists) return StorageError(absl::StrCat(FolderOf(step), ": there is no such checkpoint"));
  return Discard(StepName(step), absl::StrCat(kTrashPrefix, StepName(step), ".", NewId()));
}

absl::Status CheckpointStore::Prune() {
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, List());
  const int64_t keep_last = std::max<int64_t>(retention_.keep_last, 1);
  const int64_t candidates = static_cast<int64_t>(steps.size()) - keep_last;
  for (int64_t i = 0; i < candidates; ++i) {
    const bool milestone = retention_.keep_every > 0 && steps[i] % retention_.keep_every == 0;
    if (milestone || steps[i] == protected_step_ || kept_steps_.count(steps[i]) > 0) continue;
    RETURN_IF_ERROR(Delete(steps[i]));
  }
  return absl::OkStatus();
}

absl::Status CheckpointStore::ResumeFrom(const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, List());
  for (const int64_t step : steps) {
    if (step <= checkpoint.step()) continue;
    const std::string aside = absl::StrCat(folder_, "/", kSetAsidePrefix, StepName(step), ".", NewId());
    RETURN_IF_ERROR(ops_.Rename(FolderOf(step), aside));
    RETURN_IF_ERROR(ops_.SyncDirectory(folder_));
    Warn(absl::StrCat("the checkpoint of step ", step, " is newer than the one the run goes on from; it is now ", aside,
                      " and is not removed"));
  }
  protected_step_ = checkpoint.step();
  parent_sha256_ = checkpoint.manifest_sha256();
  return absl::OkStatus();
}

// ---- Saving ----

absl::StatusOr<CheckpointStore::Pending> CheckpointStore::Begin(int64_t step) {
  if (step < 0) return InternalError(absl::StrCat("a checkpoint of step ", step));
  RETURN_IF_ERROR(MakeDurableDirectories(ops_, folder_));
  const Pending pending = {step, absl::StrCat(FolderOf(step), kTemporaryMark, NewId())};
  RETURN_IF_ERROR(ops_.MakeDirectory(pending.temporary_folder));
  return pending;
}

absl::StatusOr<checkpoint::TensorFile> CheckpointStore::WriteTensorFile(FileOps& ops,
                                                                        const std::string& temporary_folder,
                                                                        const std::string& file_name,
                                                                        const TensorGroup& group) {
  if (!IsPlainFileName(file_name)) return InternalError(absl::StrCat("\"", file_name, "\" is no file name"));
  checkpoint::TensorFile file;
  file.set_name(file_name);
  file.set_group(group.name);
  std::vector<TensorInfo> infos;
  for (const TensorSource& tensor : group.tensors) {
    const std::optional<uint64_t> size = CheckedByteSize(tensor.dtype, tensor.shape);
    if (!size || (*size > 0 && tensor.data == nullptr && !tensor.stream)) {
      return InternalError(absl::StrCat("tensor \"", tensor.name, "\" to be saved has no data or an impossible shape"));
    }
    TensorInfo& info = infos.emplace_back();
    info.name = tensor.name;
    info.dtype = tensor.dtype;
    info.shape = tensor.shape;
  }
  HeaderTap tap(ops);
  // What PyTorch's readers of the format expect to find.
  ASSIGN_OR_RETURN(
      const std::unique_ptr<SafetensorsWriter> writer,
      SafetensorsWriter::Create(tap, absl::StrCat(temporary_folder, "/", file_name), infos, {{"format", "pt"}}));
  for (const TensorSource& tensor : group.tensors) {
    checkpoint::TensorRecord& record = *file.add_tensors();
    record.set_name(tensor.name);
    record.set_dtype(std::string(Name(tensor.dtype)));
    record.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    record.mutable_global_shape()->Add(tensor.global_shape.begin(), tensor.global_shape.end());
    record.mutable_offset()->Add(tensor.offset.begin(), tensor.offset.end());
    if (tensor.stream) {
      Xxh3Hasher hasher;
      uint64_t count = 0;
      RETURN_IF_ERROR(tensor.stream([&](std::string_view bytes) {
        hasher.Add(bytes);
        count += bytes.size();
        return writer->Append(bytes.data(), bytes.size());
      }));
      if (count != *CheckedByteSize(tensor.dtype, tensor.shape)) {
        return InternalError(absl::StrCat("tensor \"", tensor.name, "\" to be saved came as ", count, " bytes"));
      }
      record.set_xxh3_128(hasher.Hex());
    } else {
      const uint64_t size = *CheckedByteSize(tensor.dtype, tensor.shape);
      record.set_xxh3_128(Xxh3Hex(tensor.data, size));
      RETURN_IF_ERROR(writer->Append(tensor.data, size));
    }
  }
  RETURN_IF_ERROR(writer->Finish());
  file.set_size(tap.size());
  file.set_header_size(tap.header().size());
  file.set_header_xxh3_128(Xxh3Hex(tap.header().data(), tap.header().size()));
  return file;
}

absl::StatusOr<SaveReport> CheckpointStore::Save(const CheckpointContents& contents) {
  ASSIGN_OR_RETURN(const Pending pending, Begin(contents.state.step()));
  std::vector<checkpoint::TensorFile> files;
  for (const TensorGroup& group : contents.groups) {
    absl::StatusOr<checkpoint::TensorFile> file =
        WriteTensorFile(ops_, pending.temporary_folder, absl::StrCat(group.name, ".safetensors"), group);
    if (!file.ok()) {
      // Before the temporary folder goes and its space with it.
      const absl::Status status = SaveError(file.status(), pending, TensorBytes(contents.groups));
      Abandon(pending);
      return status;
    }
    files.push_back(*std::move(file));
  }
  return Commit(pending, std::move(files), contents);
}

absl::StatusOr<SaveReport> CheckpointStore::Commit(const Pending& pending, std::vector<checkpoint::TensorFile> files,
                                                   const CheckpointContents& contents) {
  uint64_t bytes = 0;
  for (const checkpoint::TensorFile& file : files) bytes += file.size();
  absl::StatusOr<SaveReport> report = WriteAndCommit(pending, std::move(files), contents);
  if (!report.ok()) {
    const absl::Status status = SaveError(report.status(), pending, bytes);
    Abandon(pending);
    return status;
  }
  parent_sha256_ = report->manifest_sha256;
  protected_step_.reset();
  const absl::Status pruned = Prune();
  if (report->removal.ok()) report->removal = pruned;
  return report;
}

absl::StatusOr<SaveReport> CheckpointStore::WriteAndCommit(const Pending& pending,
                                                           std::vector<checkpoint::TensorFile> files,
                                                           const CheckpointContents& contents) {
  if (contents.state.step() != pending.step) {
    return InternalError(
        absl::StrCat("a save of step ", pending.step, " was given the state of step ", contents.state.step()));
  }
  checkpoint::Manifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  manifest.set_step(pending.step);
  manifest.set_config_hash(contents.config_hash);
  if (!parent_sha256_.empty()) manifest.set_parent_sha256(parent_sha256_);
  manifest.set_program_version(contents.program_version);
  manifest.mutable_parents()->Add(contents.parents.begin(), contents.parents.end());
  manifest.set_created(contents.created.value_or(Now()));
  if (!contents.created.has_value()) manifest.set_host(HostName());
  for (checkpoint::TensorFile& file : files) *manifest.add_tensor_files() = std::move(file);
  const std::string& folder = pending.temporary_folder;
  RETURN_IF_ERROR(AddPlainFile(ops_, folder, kTrainingStateName, Serialise(contents.state), manifest));
  RETURN_IF_ERROR(AddPlainFile(ops_, folder, kConfigName, contents.config_text, manifest));

  // What could not be read back must not be committed.
  const std::string encoded = EncodeManifest(manifest);
  const std::string manifest_path = absl::StrCat(folder, "/", kManifestName);
  absl::StatusOr<DecodedManifest> decoded = DecodeManifest(encoded, manifest_path);
  if (!decoded.ok()) return InternalError(std::string(decoded.status().message()));
  RETURN_IF_ERROR(WriteSyncedFile(ops_, manifest_path, encoded));
  RETURN_IF_ERROR(ops_.SyncDirectory(folder));

  SaveReport report;
  report.folder = FolderOf(pending.step);
  report.manifest_sha256 = decoded->sha256;
  report.bytes = encoded.size();
  for (const checkpoint::TensorFile& file : manifest.tensor_files()) report.bytes += file.size();
  for (const checkpoint::PlainFile& file : manifest.plain_files()) report.bytes += file.size();

  ASSIGN_OR_RETURN(const bool exists, Exists(report.folder));
  const std::string replaced_name = absl::StrCat(kReplacedPrefix, StepName(pending.step), ".", NewId());
  const std::string replaced = absl::StrCat(folder_, "/", replaced_name);
  if (exists) RETURN_IF_ERROR(ops_.Rename(report.folder, replaced));
  absl::Status status = exists ? ops_.SyncDirectory(folder_) : absl::OkStatus();
  if (status.ok()) status = ops_.Rename(folder, report.folder);
  if (status.ok()) {
    status = ops_.SyncDirectory(folder_);
    // Visible but perhaps not durable: taken back under its temporary name, so that it is never taken for saved.
    if (!status.ok()) ops_.Rename(report.folder, folder).IgnoreError();
  }
  if (!status.ok()) {
    if (exists) ops_.Rename(replaced, report.folder).IgnoreError();
    return status;
  }
  if (exists) {
    report.removal = Discard(replaced_name, absl::StrCat(kTrashPrefix, StepName(pending.step), ".", NewId()));
  }
  return report;
}

void CheckpointStore::Abandon(const Pending& pending) {
  const std::string name = pending.temporary_folder.substr(folder_.size() + 1);
  // What cannot be removed now is removed by Clean at the next start.
  Discard(name, absl::StrCat(kTrashPrefix, StepName(pending.step), ".", NewId())).IgnoreError();
}

uint64_t TensorBytes(const std::vector<TensorGroup>& groups) {
  uint64_t bytes = 0;
  for (const TensorGroup& group : groups) {
    for (const TensorSource& tensor : group.tensors) {
      bytes += CheckedByteSize(tensor.dtype, tensor.shape).value_or(0);
    }
  }
  return bytes;
}

absl::Status SaveError(const absl::Status& status, const CheckpointStore::Pending& pending, uint64_t bytes) {
  if (status.ok()) return status;
  const std::string& temporary = pending.temporary_folder;
  const std::string folder = temporary.substr(0, temporary.rfind('/'));
  return Annotate(
      NamingFinalPath(status, temporary, absl::StrCat(folder, "/", StepName(pending.step))),
      absl::StrCat("the checkpoint of step ", pending.step, " could not be saved (", SpaceText(folder, bytes), ")"));
}

}  // namespace cubist
