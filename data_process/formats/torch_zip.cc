#include "data_process/formats/torch_zip.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/torch_pickle_writer.h"
#include "data_process/formats/zip_reader.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {
namespace {

constexpr size_t kStorageAlignment = 64;

ZipLimits DirectoryLimits(const TorchLimits& limits) {
  ZipLimits zip_limits;
  zip_limits.max_members = limits.max_members;
  // Members are read one by one, each against its own limit.
  zip_limits.max_total_bytes = uint64_t{1} << 62;
  return zip_limits;
}

// Files before PyTorch 1.6 begin with a pickled number instead of a zip header.
absl::Status ExplainIfLegacy(const absl::Status& status, std::string_view start) {
  if (start.size() < 2 || start[0] != '\x80') return status;
  return Annotate(status,
                  "a torch file of the old format without a zip archive; load and save it once with PyTorch 1.6 "
                  "or later");
}

// Copies element by element; the tensor is verified to lie within the storage.
template <size_t kSize>
void Gather(const char* storage, const PickleTensor& tensor, HostTensor& target) {
  const int rank = static_cast<int>(tensor.shape.size());
  // Along an extent of 1 nothing is stepped over, and any number may stand there.
  std::vector<int64_t> stride = tensor.stride;
  for (int d = 0; d < rank; ++d) {
    if (tensor.shape[d] == 1) stride[d] = 0;
  }
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t from = tensor.offset;
  char* to = reinterpret_cast<char*>(target.bytes());
  for (int64_t i = 0; i < target.size(); ++i, to += kSize) {
    std::memcpy(to, storage + from * static_cast<int64_t>(kSize), kSize);
    for (int d = rank - 1; d >= 0; --d) {
      from += stride[d];
      if (++index[d] < tensor.shape[d]) break;
      from -= stride[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
}

bool IsDense(const PickleTensor& tensor) {
  int64_t step = 1;
  for (size_t d = tensor.shape.size(); d-- > 0;) {
    if (tensor.shape[d] != 1 && tensor.stride[d] != step) return false;
    step *= tensor.shape[d];
  }
  return true;
}

}  // namespace

struct TorchFile::Shared {
  std::unique_ptr<ZipReader> zip;
  std::string root_folder;
  TorchLimits limits;
  mutable std::mutex mutex;  // libzip's handles are not for several threads
};

const std::string& TorchFile::root_folder() const { return shared_->root_folder; }

absl::StatusOr<TorchFile> TorchFile::Open(std::shared_ptr<Shared> shared) {
  const ZipReader& zip = *shared->zip;
  if (zip.members().empty()) return DataError(absl::StrCat(zip.what(), ": an empty zip archive is no torch file"));
  const std::string& first = zip.members().front().name;
  const size_t slash = first.find('/');
  if (slash == 0 || slash == std::string::npos) {
    return DataError(absl::StrCat(zip.what(), ": no torch file: its first member ", Quoted(first), " is in no folder"));
  }
  shared->root_folder = first.substr(0, slash);
  if (const ZipMember* order = zip.Find(absl::StrCat(shared->root_folder, "/byteorder"))) {
    if (order->size > 16) return DataError(absl::StrCat(zip.what(), ": member ", Quoted(order->name), " is damaged"));
    ASSIGN_OR_RETURN(const std::string text, zip.Read(*order));
    if (text != "little") {
      return DataError(absl::StrCat(zip.what(), ": member ", Quoted(order->name), ": byte order ", Quoted(text),
                                    " is not read; save it on a little-endian machine"));
    }
  }
  const std::string name = absl::StrCat(shared->root_folder, "/data.pkl");
  const ZipMember* const pickle = zip.Find(name);
  if (pickle == nullptr) {
    return DataError(absl::StrCat(
        zip.what(), ": no torch file: it has no member ", Quoted(name),
        zip.Find(absl::StrCat(shared->root_folder, "/constants.pkl")) == nullptr ? "" : " (a TorchScript archive)"));
  }
  const std::string what = absl::StrCat(zip.what(), ": member ", Quoted(name));
  if (pickle->size > shared->limits.pickle.max_bytes) {
    return DataError(
        absl::StrCat(what, ": ", pickle->size, " bytes are more than the limit of ", shared->limits.pickle.max_bytes));
  }
  ASSIGN_OR_RETURN(const std::string bytes, zip.Read(*pickle));
  TorchFile file;
  ASSIGN_OR_RETURN(file.root_, ParsePickle(bytes, what, shared->limits.pickle));
  file.shared_ = std::move(shared);
  return file;
}

absl::StatusOr<TorchFile> OpenTorchZip(std::string_view bytes, std::string_view what, const TorchLimits& limits) {
  auto shared = std::make_shared<TorchFile::Shared>();
  shared->limits = limits;
  auto zip = ZipReader::Open(bytes, what, DirectoryLimits(limits));
  if (!zip.ok()) return ExplainIfLegacy(zip.status(), bytes);
  shared->zip = *std::move(zip);
  return TorchFile::Open(std::move(shared));
}

absl::StatusOr<TorchFile> OpenTorchZipFile(const std::string& path, const TorchLimits& limits) {
  auto shared = std::make_shared<TorchFile::Shared>();
  shared->limits = limits;
  ASSIGN_OR_RETURN(shared->zip, ZipReader::OpenFile(path, DirectoryLimits(limits)));
  return TorchFile::Open(std::move(shared));
}

absl::StatusOr<HostTensor> TorchFile::Materialize(const PickleTensor& tensor) const {
  const ZipReader& zip = *shared_->zip;
  const std::string name = absl::StrCat(shared_->root_folder, "/data/", tensor.storage_key);
  const std::string what = absl::StrCat(zip.what(), ": member ", Quoted(name));
  const ZipMember* const member = zip.Find(name);
  if (member == nullptr) return DataError(absl::StrCat(what, ": a tensor lies in it, and it is not there"));
  const std::optional<uint64_t> storage_bytes = CheckedByteSize(tensor.dtype, {tensor.storage_size});
  if (!storage_bytes.has_value() || member->size != *storage_bytes) {
    return DataError(absl::StrCat(what, ": ", tensor.storage_size, " elements of ", std::string(Name(tensor.dtype)),
                                  " are announced and it has ", member->size, " bytes"));
  }
  if (member->size > shared_->limits.max_storage_bytes) {
    return DataError(absl::StrCat(what, ": ", member->size, " bytes are more than the limit of ",
                                  shared_->limits.max_storage_bytes));
  }
  const std::optional<uint64_t> tensor_bytes = CheckedByteSize(tensor.dtype, tensor.shape);
  if (!tensor_bytes.has_value() || *tensor_bytes > shared_->limits.max_tensor_bytes) {
    return DataError(absl::StrCat(what, ": a tensor in it is larger than the limit of ",
                                  shared_->limits.max_tensor_bytes, " bytes"));
  }
  HostTensor result(tensor.dtype, tensor.shape);
  if (IsDense(tensor) && tensor.offset == 0 && result.size() == tensor.storage_size) {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    RETURN_IF_ERROR(zip.ReadInto(*member, result.bytes()));
  } else {
    std::string storage;
    {
      const std::lock_guard<std::mutex> lock(shared_->mutex);
      ASSIGN_OR_RETURN(storage, zip.Read(*member));
    }
    switch (SizeOf(tensor.dtype)) {
      case 1:
        Gather<1>(storage.data(), tensor, result);
        break;
      case 2:
        Gather<2>(storage.data(), tensor, result);
        break;
      case 4:
        Gather<4>(storage.data(), tensor, result);
        break;
      default:
        Gather<8>(storage.data(), tensor, result);
    }
  }
  NormalizeBooleans(result);
  return result;
}

absl::StatusOr<std::map<std::string, HostTensor>> ReadTorchTensors(std::string_view bytes, std::string_view what_view,
                                                                   const TorchLimits& limits) {
  const std::string what(what_view);
  ASSIGN_OR_RETURN(const TorchFile file, OpenTorchZip(bytes, what_view, limits));
  if (file.root().kind() != PickleKind::kDict) {
    return DataError(
        absl::StrCat(what, ": a dict of tensors is wanted, and it holds a ", std::string(Name(file.root().kind()))));
  }
  std::map<std::string, HostTensor> tensors;
  uint64_t total = 0;
  for (size_t i = 0; i < file.root().pair_count(); ++i) {
    const PickleValue key = file.root().key(i);
    const PickleValue value = file.root().value(i);
    if (key.kind() != PickleKind::kString || value.kind() != PickleKind::kTensor) {
      return DataError(absl::StrCat(
          what, ": a dict of tensors is wanted, and ",
          key.kind() == PickleKind::kString ? absl::StrCat("under ", Quoted(key.string())) : absl::StrCat("entry ", i),
          " there is a ", std::string(Name(key.kind() == PickleKind::kString ? value.kind() : key.kind()))));
    }
    const std::optional<uint64_t> size = CheckedByteSize(value.tensor().dtype, value.tensor().shape);
    if (!size.has_value() || *size > limits.max_tensor_bytes - total) {
      return DataError(
          absl::StrCat(what, ": its tensors are larger than the limit of ", limits.max_tensor_bytes, " bytes"));
    }
    total += *size;
    ASSIGN_OR_RETURN(HostTensor tensor, file.Materialize(value.tensor()));
    tensors.emplace(key.string(), std::move(tensor));
  }
  return tensors;
}

absl::StatusOr<std::string> FormatTorchZip(const std::vector<std::pair<std::string, HostTensor>>& tensors) {
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  std::sort(names.begin(), names.end());
  const auto repeated = std::adjacent_find(names.begin(), names.end());
  if (repeated != names.end()) return DataError(absl::StrCat("tensor ", Quoted(*repeated), " is given twice"));
  ASSIGN_OR_RETURN(const std::string pickle, FormatTorchPickle(tensors));
  ZipWriter zip(kStorageAlignment);
  RETURN_IF_ERROR(zip.Add("archive/data.pkl", pickle));
  RETURN_IF_ERROR(zip.Add("archive/byteorder", "little"));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const HostTensor& tensor = tensors[i].second;
    RETURN_IF_ERROR(zip.Add(absl::StrCat("archive/data/", i),
                            std::string_view(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size())));
  }
  RETURN_IF_ERROR(zip.Add("archive/version", "3\n"));
  return zip.Finish();
}

}  // namespace cubist
