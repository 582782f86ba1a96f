#include "tools/training/checkpoint/checkpoint_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "tools/training/checkpoint/hashes.h"
#include "tools/training/checkpoint/manifest.h"

namespace cubist {

namespace {

// A tensor file that stays open. Its data is read here and not by SafetensorsFile, so that the bytes
// that are hashed are those on disk.
struct OpenFile {
  explicit OpenFile(int descriptor_in) : descriptor(descriptor_in) {}
  ~OpenFile() { ::close(descriptor); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor;
  std::unique_ptr<SafetensorsFile> layout;
};

}  // namespace

struct Checkpoint::Contents {
  // An entry of a file: the tensor or a part of it.
  struct Part {
    const OpenFile* file = nullptr;
    const checkpoint::TensorRecord* record = nullptr;
  };
  struct Tensor {
    CheckpointTensor info;
    std::vector<Part> parts;
  };
  using Group = std::map<std::string, Tensor, std::less<>>;

  std::string folder;
  // Behind a pointer: parts point into it.
  std::unique_ptr<DecodedManifest> decoded;
  checkpoint::TrainingState state;
  std::string config_text;
  std::vector<std::unique_ptr<OpenFile>> files;
  std::map<std::string, Group, std::less<>> groups;
};

namespace {

constexpr size_t kLargestSmallFile = size_t{256} << 20;

absl::Status AsStorageError(const absl::Status& status) {
  return status.ok() || ExitCodeOf(status) == ExitCode::kStorage ? status : StorageError(std::string(status.message()));
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadWholeFile(path, kLargestSmallFile);
  if (!bytes.ok()) return AsStorageError(bytes.status());
  return bytes;
}

std::string Shape(const std::vector<int64_t>& shape) { return absl::StrCat("[", absl::StrJoin(shape, ","), "]"); }

std::string Quoted(std::string_view name) { return absl::StrCat("tensor \"", std::string(name), "\""); }

absl::Status ReadAt(int descriptor, uint64_t offset, size_t size, void* out, const std::string& path) {
  for (size_t done = 0; done < size;) {
    const ssize_t count =
        ::pread(descriptor, static_cast<char*>(out) + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return StorageError(absl::StrCat(path, ": cannot read at offset ", offset + done, ": ",
                                       count == 0 ? "the file ends" : ErrnoText(errno)));
    }
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

absl::Status CheckHash(const std::string& what, const std::string& algorithm, const std::string& found,
                       const std::string& expected) {
  if (found == expected) return absl::OkStatus();
  return StorageError(absl::StrCat(what, " does not verify: its ", algorithm, " is ", found, ", the manifest says ",
                                   expected, "; the file is damaged"));
}

// Opens a tensor file after checking all of it that is not tensor data, and that it holds what the
// manifest says.
absl::StatusOr<std::unique_ptr<OpenFile>> OpenTensorFile(const std::string& path, const checkpoint::TensorFile& file) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return StorageError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  auto opened = std::make_unique<OpenFile>(descriptor);
  struct stat info;
  if (::fstat(descriptor, &info) != 0) {
    return StorageError(absl::StrCat(path, ": cannot look at: ", ErrnoText(errno)));
  }
  if (static_cast<uint64_t>(info.st_size) != file.size()) {
    return StorageError(absl::StrCat(path, ": is ", info.st_size, " bytes long, the manifest says ", file.size(),
                                     "; the file is damaged"));
  }
  if (file.header_size() > file.size() || file.header_size() > SafetensorsLimits().max_header_bytes + 8) {
    return StorageError(
        absl::StrCat(path, ": the manifest gives it an impossible header of ", file.header_size(), " bytes"));
  }
  std::string header(file.header_size(), '\0');
  RETURN_IF_ERROR(ReadAt(descriptor, 0, header.size(), header.data(), path));
  RETURN_IF_ERROR(CheckHash(absl::StrCat(path, ": its header"), "XXH3-128", Xxh3Hex(header.data(), header.size()),
                            file.header_xxh3_128()));
  absl::StatusOr<std::unique_ptr<SafetensorsFile>> layout = SafetensorsFile::Open(path);
  if (!layout.ok()) return AsStorageError(layout.status());
  opened->layout = *std::move(layout);
  for (const checkpoint::TensorRecord& record : file.tensors()) {
    const TensorInfo* info = opened->layout->Info(record.name());
    if (info == nullptr) {
      return StorageError(absl::StrCat(path, ": has no ", Quoted(record.name()), ", which the manifest names"));
    }
    const std::vector<int64_t> shape(record.shape().begin(), record.shape().end());
    if (Name(info->dtype) != record.dtype() || info->shape != shape) {
      return StorageError(absl::StrCat(path, ": ", Quoted(record.name()), " is ", std::string(Name(info->dtype)),
                                       Shape(info->shape), ", the manifest says ", record.dtype(), Shape(shape)));
    }
  }
  if (opened->layout->names().size() != static_cast<size_t>(file.tensors_size())) {
    return StorageError(absl::StrCat(path, ": holds ", opened->layout->names().size(), " tensors, the manifest names ",
                                     file.tensors_size()));
  }
  return opened;
}

int64_t Volume(const std::vector<int64_t>& shape) {
  int64_t volume = 1;
  for (const int64_t extent : shape) volume *= extent;
  return volume;
}

bool Overlap(const checkpoint::TensorRecord& a, const checkpoint::TensorRecord& b) {
  const std::vector<int64_t> a_offset = OffsetOf(a), b_offset = OffsetOf(b);
  for (int d = 0; d < a.shape_size(); ++d) {
    const int64_t begin = std::max(a_offset[d], b_offset[d]);
    const int64_t end = std::min(a_offset[d] + a.shape(d), b_offset[d] + b.shape(d));
    if (begin >= end) return false;
  }
  return true;
}

// Calls `copy(offset in the whole, offset in the part, count)` for each run of elements that is contiguous in both.
template <typename Copy>
void ForEachRun(const std::vector<int64_t>& global, const std::vector<int64_t>& offset,
                const std::vector<int64_t>& shape, const Copy& copy) {
  if (Volume(shape) == 0) return;
  const int rank = static_cast<int>(shape.size());
  const int64_t run = rank == 0 ? 1 : shape[rank - 1];
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t from = 0; from < Volume(shape); from += run) {
    int64_t to = 0;
    for (int d = 0; d < rank; ++d) to = to * global[d] + offset[d] + index[d];
    copy(to, from, run);
    for (int d = rank - 2; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
}

}  // namespace

Checkpoint::Checkpoint(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& folder) {
  auto contents = std::make_unique<Contents>();
  contents->folder = folder;
  const std::string manifest_path = absl::StrCat(folder, "/", kManifestName);
  struct stat info;
  if (::stat(manifest_path.c_str(), &info) != 0 && errno == ENOENT) {
    return StorageError(
        absl::StrCat(folder, ": has no ", kManifestName, ": it is no checkpoint, or one whose saving was interrupted"));
  }
  ASSIGN_OR_RETURN(const std::string manifest_bytes, ReadSmallFile(manifest_path));
  ASSIGN_OR_RETURN(DecodedManifest decoded, DecodeManifest(manifest_bytes, manifest_path));
  contents->decoded = std::make_unique<DecodedManifest>(std::move(decoded));
  const checkpoint::Manifest& manifest = contents->decoded->manifest;

  bool has_state = false;
  for (const checkpoint::PlainFile& file : manifest.plain_files()) {
    const std::string path = absl::StrCat(folder, "/", file.name());
    ASSIGN_OR_RETURN(std::string bytes, ReadSmallFile(path));
    RETURN_IF_ERROR(CheckHash(absl::StrCat(path, ":"), "SHA-256", Sha256Hex(bytes), file.sha256()));
    if (file.name() == kTrainingStateName) {
      has_state = contents->state.ParseFromString(bytes);
      if (!has_state) return StorageError(absl::StrCat(path, ": cannot be parsed although its hash is right"));
    } else if (file.name() == kConfigName) {
      contents->config_text = std::move(bytes);
    }
  }
  if (!has_state || contents->state.step() != manifest.step()) {
    return StorageError(absl::StrCat(manifest_path, ": is of step ", manifest.step(), ", but ", kTrainingStateName,
                                     has_state ? absl::StrCat(" is of step ", contents->state.step()) : " is missing"));
  }

  for (const checkpoint::TensorFile& file : manifest.tensor_files()) {
    const std::string path = absl::StrCat(folder, "/", file.name());
    ASSIGN_OR_RETURN(std::unique_ptr<OpenFile> opened, OpenTensorFile(path, file));
    Contents::Group& group = contents->groups[file.group()];
    for (const checkpoint::TensorRecord& record : file.tensors()) {
      const CheckpointTensor whole = {record.name(), *DTypeByName(record.dtype()), GlobalShapeOf(record)};
      Contents::Tensor& tensor = group.try_emplace(record.name(), Contents::Tensor{whole, {}}).first->second;
      if (tensor.info.dtype != whole.dtype || tensor.info.shape != whole.shape) {
        return StorageError(absl::StrCat(path, ": ", Quoted(record.name()), " is a part of ", record.dtype(),
                                         Shape(whole.shape), ", another file's is of ",
                                         std::string(Name(tensor.info.dtype)), Shape(tensor.info.shape)));
      }
      for (const Contents::Part& part : tensor.parts) {
        if (Overlap(*part.record, record)) {
          return StorageError(absl::StrCat(path, ": ", Quoted(record.name()), " overlaps with the part in ",
                                           part.file->layout->path()));
        }
      }
      tensor.parts.push_back({opened.get(), &record});
    }
    contents->files.push_back(std::move(opened));
  }
  for (const auto& [group_name, group] : contents->groups) {
    for (const auto& [name, tensor] : group) {
      int64_t covered = 0;
      for (const Contents::Part& part : tensor.parts) {
        covered += Volume(std::vector<int64_t>(part.record->shape().begin(), part.record->shape().end()));
      }
      if (covered != Volume(tensor.info.shape)) {
        return StorageError(absl::StrCat(manifest_path, ": ", Quoted(name), " of group \"", group_name, "\" is ",
                                         Shape(tensor.info.shape), ", but its parts cover only ", covered,
                                         " elements: a file is missing"));
      }
    }
  }
  return Checkpoint(std::move(contents));
}

const std::string& Checkpoint::folder() const { return contents_->folder; }
int64_t Checkpoint::step() const { return contents_->decoded->manifest.step(); }
const checkpoint::Manifest& Checkpoint::manifest() const { return contents_->decoded->manifest; }
const std::string& Checkpoint::manifest_sha256() const { return contents_->decoded->sha256; }
const checkpoint::TrainingState& Checkpoint::state() const { return contents_->state; }
const std::string& Checkpoint::config_text() const { return contents_->config_text; }

std::vector<std::string> Checkpoint::Groups() const {
  std::vector<std::string> names;
  for (const auto& [name, group] : contents_->groups) names.push_back(name);
  return names;
}

bool Checkpoint::HasGroup(std::string_view group) const { return contents_->groups.count(group) > 0; }

std::vector<CheckpointTensor> Checkpoint::Tensors(std::string_view group) const {
  std::vector<CheckpointTensor> tensors;
  const auto found = contents_->groups.find(group);
  if (found == contents_->groups.end()) return tensors;
  for (const auto& [name, tensor] : found->second) tensors.push_back(tensor.info);
  return tensors;
}

absl::StatusOr<HostTensor> Checkpoint::Read(std::string_view group, std::string_view name) const {
  const auto found_group = contents_->groups.find(group);
  if (found_group == contents_->groups.end()) {
    return StorageError(absl::StrCat(contents_->folder, ": has no group \"", std::string(group), "\"; it has ",
                                     absl::StrJoin(Groups(), ", ")));
  }
  const auto found = found_group->second.find(name);
  if (found == found_group->second.end()) {
    return StorageError(absl::StrCat(contents_->folder, ": group \"", std::string(group), "\" has no ", Quoted(name)));
  }
  const Contents::Tensor& tensor = found->second;
  HostTensor whole;
  for (const Contents::Part& part : tensor.parts) {
    const std::string& path = part.file->layout->path();
    const TensorInfo& info = *part.file->layout->Info(name);
    HostTensor read(info.dtype, info.shape);
    RETURN_IF_ERROR(ReadAt(part.file->descriptor, info.offset, read.byte_size(), read.bytes(), path));
    RETURN_IF_ERROR(CheckHash(absl::StrCat(path, ": ", Quoted(name)), "XXH3-128",
                              Xxh3Hex(read.bytes(), read.byte_size()), part.record->xxh3_128()));
    if (info.dtype == DType::kBool && std::any_of(read.bytes(), read.bytes() + read.byte_size(),
                                                  [](std::byte byte) { return byte > std::byte{1}; })) {
      return StorageError(absl::StrCat(path, ": ", Quoted(name), " is bool and holds something else than 0 and 1"));
    }
    if (read.shape() == tensor.info.shape) return read;
    if (&part == &tensor.parts.front()) whole = HostTensor(tensor.info.dtype, tensor.info.shape);
    const size_t element = SizeOf(tensor.info.dtype);
    ForEachRun(tensor.info.shape, OffsetOf(*part.record), read.shape(), [&](int64_t to, int64_t from, int64_t count) {
      std::memcpy(whole.bytes() + static_cast<size_t>(to) * element, read.bytes() + static_cast<size_t>(from) * element,
                  static_cast<size_t>(count) * element);
    });
  }
  return whole;
}

absl::Status Checkpoint::Stream(std::string_view group, std::string_view name, const ByteSink& sink) const {
  constexpr uint64_t kPiece = uint64_t{1} << 20;
  const auto found_group = contents_->groups.find(group);
  const Contents::Tensor* tensor = nullptr;
  if (found_group != contents_->groups.end()) {
    const auto found = found_group->second.find(name);
    if (found != found_group->second.end()) tensor = &found->second;
  }
  if (tensor == nullptr || tensor->parts.size() != 1 || tensor->info.dtype == DType::kBool ||
      tensor->parts[0].file->layout->Info(name)->size <= kPiece) {
    ASSIGN_OR_RETURN(const HostTensor whole, Read(group, name));
    return sink(std::string_view(reinterpret_cast<const char*>(whole.bytes()), whole.byte_size()));
  }
  const Contents::Part& part = tensor->parts[0];
  const std::string& path = part.file->layout->path();
  const TensorInfo& info = *part.file->layout->Info(name);
  Xxh3Hasher hasher;
  std::string piece(kPiece, '\0');
  for (uint64_t done = 0; done < info.size;) {
    const uint64_t size = std::min(info.size - done, kPiece);
    RETURN_IF_ERROR(ReadAt(part.file->descriptor, info.offset + done, size, piece.data(), path));
    hasher.Add(std::string_view(piece.data(), size));
    RETURN_IF_ERROR(sink(std::string_view(piece.data(), size)));
    done += size;
  }
  return CheckHash(absl::StrCat(path, ": ", Quoted(name)), "XXH3-128", hasher.Hex(), part.record->xxh3_128());
}

absl::Status Checkpoint::ForEach(std::string_view group,
                                 const std::function<absl::Status(const std::string&, HostTensor)>& consume) const {
  for (const CheckpointTensor& tensor : Tensors(group)) {
    ASSIGN_OR_RETURN(HostTensor read, Read(group, tensor.name));
    RETURN_IF_ERROR(consume(tensor.name, std::move(read)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, HostTensor>> Checkpoint::ReadAll(std::string_view group) const {
  std::map<std::string, HostTensor> tensors;
  RETURN_IF_ERROR(ForEach(group, [&tensors](const std::string& name, HostTensor tensor) {
    tensors.emplace(name, std::move(tensor));
    return absl::OkStatus();
  }));
  return tensors;
}

absl::Status Checkpoint::Verify() const {
  for (const std::string& group : Groups()) {
    RETURN_IF_ERROR(ForEach(group, [](const std::string&, HostTensor) { return absl::OkStatus(); }));
  }
  return absl::OkStatus();
}

}  // namespace cubist
