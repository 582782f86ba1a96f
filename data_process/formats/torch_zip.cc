#include "data_process/formats/torch_zip.h"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip_strides.h"
#include "data_process/formats/torch_zip_writer.h"
#include "data_process/formats/zip_reader.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {
namespace {

// Shorter gaps between elements are read, longer ones skipped: about what a system call costs.
constexpr uint64_t kMaxGapBytes = 4096;

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

}  // namespace

// What bounds the time that a hostile file with a million views of one storage can take: a storage is read in full, and
// its checksum compared, for the first tensor in it alone. Later ones seek to their elements and read no more than
// kMaxGapBytes beside each row, so that their time is in proportion to what the caller is given. Where that cannot be,
// for deflated storages and overlapping elements, the bytes read for nothing are counted, and the file is refused after
// limits.max_wasted_bytes. torch.save makes neither in such numbers.
struct TorchFile::Shared {
  absl::Status ChargeForRereading(const ZipMember& member, const PickleTensor& tensor, uint64_t result_bytes,
                                  const std::string& what) const {
    const StridedPlan plan = PlanStrides(tensor);
    uint64_t read = 0;
    if (plan.overlaps) read = static_cast<uint64_t>(plan.span) * SizeOf(tensor.dtype);
    if (member.deflated) read = member.size;
    wasted_bytes += read - std::min(read, result_bytes);
    if (wasted_bytes <= limits.max_wasted_bytes) return absl::OkStatus();
    return DataError(absl::StrCat(what, ": too many tensors lie in storages that are ",
                                  member.deflated ? "compressed" : "views of overlapping elements",
                                  "; load and save the file once with torch.save"));
  }

  std::unique_ptr<ZipReader> zip;
  std::string root_folder;
  TorchLimits limits;
  mutable std::mutex mutex;  // libzip's handles are not for several threads; guards what follows, too
  mutable std::unordered_set<const ZipMember*> verified;
  mutable uint64_t wasted_bytes = 0;
};

const std::string& TorchFile::root_folder() const { return shared_->root_folder; }

std::string TorchFile::Directory() const {
  std::string lines;
  for (const ZipMember& member : shared_->zip->members()) {
    absl::StrAppend(&lines, member.name, " ", member.size, " ", member.checksum, "\n");
  }
  return lines;
}

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
  auto zip = ZipReader::OpenFile(path, DirectoryLimits(limits));
  if (!zip.ok()) {
    char start[2] = {};
    std::ifstream(path, std::ios::binary).read(start, sizeof(start));
    return ExplainIfLegacy(zip.status(), std::string_view(start, sizeof(start)));
  }
  shared->zip = *std::move(zip);
  return TorchFile::Open(std::move(shared));
}

absl::StatusOr<const ZipMember*> TorchFile::FindStorage(const PickleTensor& tensor) const {
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
  return member;
}

absl::StatusOr<HostTensor> TorchFile::Materialize(const PickleTensor& tensor) const {
  const ZipReader& zip = *shared_->zip;
  ASSIGN_OR_RETURN(const ZipMember* const member, FindStorage(tensor));
  const std::string what = absl::StrCat(zip.what(), ": member ", Quoted(member->name));
  HostTensor result(tensor.dtype, tensor.shape);
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  const bool verified = shared_->verified.count(member) > 0;
  if (verified) RETURN_IF_ERROR(shared_->ChargeForRereading(*member, tensor, result.byte_size(), what));
  ASSIGN_OR_RETURN(ZipMemberReader reader, zip.OpenMember(*member, !verified));
  GatherOptions options;
  if (verified) options.max_gap_bytes = kMaxGapBytes;
  const auto read = [&reader](uint64_t begin, uint64_t size, char* target) -> absl::Status {
    RETURN_IF_ERROR(reader.Skip(begin - reader.position()));
    return reader.Read(target, size);
  };
  RETURN_IF_ERROR(GatherStrided(tensor, options, read, reinterpret_cast<char*>(result.bytes())));
  RETURN_IF_ERROR(reader.Finish());
  shared_->verified.insert(member);
  NormalizeBooleans(result);
  return result;
}

absl::Status TorchFile::Stream(const PickleTensor& tensor, const ByteSink& sink) const {
  constexpr uint64_t kPiece = uint64_t{1} << 20;
  const StridedPlan plan = PlanStrides(tensor);
  const bool dense =
      !plan.overlaps && plan.axes.size() <= 1 &&
      plan.span * static_cast<int64_t>(SizeOf(tensor.dtype)) == static_cast<int64_t>(DenseBytes(tensor)) &&
      (plan.axes.empty() || plan.axes[0].from == 1);
  if (!dense || tensor.dtype == DType::kBool || DenseBytes(tensor) <= kPiece) {
    ASSIGN_OR_RETURN(const HostTensor whole, Materialize(tensor));
    return sink(std::string_view(reinterpret_cast<const char*>(whole.bytes()), whole.byte_size()));
  }
  const ZipReader& zip = *shared_->zip;
  ASSIGN_OR_RETURN(const ZipMember* const member, FindStorage(tensor));
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  const bool verified = shared_->verified.count(member) > 0;
  if (verified) {
    RETURN_IF_ERROR(shared_->ChargeForRereading(*member, tensor, DenseBytes(tensor),
                                                absl::StrCat(zip.what(), ": member ", Quoted(member->name))));
  }
  ASSIGN_OR_RETURN(ZipMemberReader reader, zip.OpenMember(*member, !verified));
  RETURN_IF_ERROR(reader.Skip(static_cast<uint64_t>(tensor.offset) * SizeOf(tensor.dtype)));
  std::string piece(kPiece, '\0');
  for (uint64_t left = DenseBytes(tensor); left > 0;) {
    const uint64_t size = std::min(left, kPiece);
    RETURN_IF_ERROR(reader.Read(piece.data(), size));
    RETURN_IF_ERROR(sink(std::string_view(piece.data(), size)));
    left -= size;
  }
  RETURN_IF_ERROR(reader.Finish());
  shared_->verified.insert(member);
  return absl::OkStatus();
}

absl::Status TorchFile::VerifyMembers() const {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  for (const ZipMember& member : shared_->zip->members()) {
    if (shared_->verified.count(&member) > 0) continue;
    ASSIGN_OR_RETURN(ZipMemberReader reader, shared_->zip->OpenMember(member));
    RETURN_IF_ERROR(reader.Finish());
    shared_->verified.insert(&member);
  }
  return absl::OkStatus();
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
  PythonValue root = PythonValue::Dict();
  for (const auto& [name, tensor] : tensors) root.Set(name, PythonValue::Tensor(tensor.dtype(), tensor.shape()));
  std::string archive;
  ASSIGN_OR_RETURN(const std::unique_ptr<TorchZipWriter> writer, TorchZipWriter::CreateFor(AppendTo(archive), root));
  for (const auto& [name, tensor] : tensors) RETURN_IF_ERROR(writer->Append(tensor));
  RETURN_IF_ERROR(writer->Finish());
  return archive;
}

}  // namespace cubist
