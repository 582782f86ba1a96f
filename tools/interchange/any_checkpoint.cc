#include "tools/interchange/any_checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/own_checkpoint.h"
#include "tools/interchange/safetensors_checkpoint.h"
#include "tools/interchange/torch_checkpoint.h"

namespace cubist {
namespace {

std::string KeyOf(std::string_view group, std::string_view name) {
  return absl::StrCat(std::string(group), "/", std::string(name));
}

// The first bytes of a file, at most `size`.
absl::StatusOr<std::string> ReadFront(const std::string& path, size_t size) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return StorageError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  std::string bytes(size, '\0');
  const ssize_t count = ::pread(descriptor, bytes.data(), size, 0);
  const int error_number = errno;
  ::close(descriptor);
  if (count < 0) return StorageError(absl::StrCat(path, ": cannot read: ", ErrnoText(error_number)));
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

}  // namespace

bool AnyCheckpoint::HasGroup(std::string_view group) const {
  for (const ListedTensor& tensor : tensors_) {
    if (tensor.group == group) return true;
  }
  return false;
}

std::optional<size_t> AnyCheckpoint::Find(std::string_view group, std::string_view name) const {
  const auto found = by_name_.find(KeyOf(group, name));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

uint64_t AnyCheckpoint::TotalBytes(std::string_view group) const {
  uint64_t bytes = 0;
  for (const ListedTensor& tensor : tensors_) {
    if (group.empty() || tensor.group == group) bytes += tensor.bytes();
  }
  return bytes;
}

absl::Status AnyCheckpoint::Stream(size_t i, const ByteSink& sink) const {
  ASSIGN_OR_RETURN(const HostTensor whole, Read(i));
  return sink(std::string_view(reinterpret_cast<const char*>(whole.bytes()), whole.byte_size()));
}

void AnyCheckpoint::SetTensors(std::vector<ListedTensor> tensors) {
  tensors_ = std::move(tensors);
  by_name_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_[KeyOf(tensors_[i].group, tensors_[i].name)] = i;
}

absl::StatusOr<std::unique_ptr<AnyCheckpoint>> AnyCheckpoint::Open(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    return ConfigError(absl::StrCat(path, ": ", ErrnoText(errno), "; a checkpoint is a folder step-N of a run, or a ",
                                    ".ckpt, .pth or .safetensors file"));
  }
  if (S_ISDIR(info.st_mode)) return OpenOwnCheckpoint(path);
  if (!S_ISREG(info.st_mode)) return ConfigError(absl::StrCat(path, ": is neither a file nor a folder"));
  ASSIGN_OR_RETURN(const std::string front, ReadFront(path, 9));
  if (front.substr(0, 2) == "PK") return OpenTorchCheckpoint(path);
  // Eight bytes of length, of which a sane header needs four, and then JSON.
  if (front.size() == 9 && front[8] == '{' && front.compare(4, 4, std::string(4, '\0')) == 0) {
    return OpenSafetensorsCheckpoint(path);
  }
  if (absl::EndsWithIgnoreCase(path, ".safetensors")) return OpenSafetensorsCheckpoint(path);
  for (const char* ending : {".ckpt", ".pth", ".pt"}) {
    if (absl::EndsWithIgnoreCase(path, ending)) return OpenTorchCheckpoint(path);
  }
  return ConfigError(absl::StrCat(
      path, ": is no checkpoint: neither a file of torch.save (a zip archive) nor one in the ", "safetensors format"));
}

}  // namespace cubist
