#include "data_process/formats/torch_zip_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

constexpr size_t kStorageAlignment = 64;

std::string Describe(DType dtype, const std::vector<int64_t>& shape) {
  return absl::StrCat(std::string(Name(dtype)), "[", absl::StrJoin(shape, ","), "]");
}

}  // namespace

TorchZipWriter::TorchZipWriter(ByteSink sink, std::string_view root_folder)
    : root_folder_(root_folder), zip_(kStorageAlignment, std::move(sink)) {}

absl::StatusOr<std::unique_ptr<TorchZipWriter>> TorchZipWriter::Create(FileOps& ops, const std::string& path,
                                                                       const PythonValue& root,
                                                                       std::string_view root_folder) {
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, ops.Create(path));
  WritableFile* const target = file.get();
  const ByteSink sink = [target](std::string_view bytes) { return target->Append(bytes.data(), bytes.size()); };
  ASSIGN_OR_RETURN(std::unique_ptr<TorchZipWriter> writer, CreateFor(sink, root, root_folder));
  writer->file_ = std::move(file);
  return writer;
}

absl::StatusOr<std::unique_ptr<TorchZipWriter>> TorchZipWriter::CreateFor(ByteSink sink, const PythonValue& root,
                                                                          std::string_view root_folder) {
  if (root_folder.empty() || root_folder.size() > 1000 || root_folder.find('/') != std::string_view::npos ||
      !IsUtf8(root_folder)) {
    return DataError(absl::StrCat(Quoted(root_folder), " cannot be the root folder of a torch file"));
  }
  std::unique_ptr<TorchZipWriter> writer(new TorchZipWriter(std::move(sink), root_folder));
  RETURN_IF_ERROR(writer->Start(root));
  return writer;
}

absl::Status TorchZipWriter::Start(const PythonValue& root) {
  ASSIGN_OR_RETURN(FormattedPickle pickle, FormatPickle(root));
  tensors_ = std::move(pickle.tensors);
  RETURN_IF_ERROR(zip_.Add(absl::StrCat(root_folder_, "/data.pkl"), pickle.bytes));
  return zip_.Add(absl::StrCat(root_folder_, "/byteorder"), "little");
}

absl::Status TorchZipWriter::Append(const HostTensor& tensor) {
  return Append(tensor.dtype(), tensor.shape(),
                std::string_view(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()));
}

absl::Status TorchZipWriter::CheckNext(DType dtype, const std::vector<int64_t>& shape, uint64_t bytes) const {
  if (appended_ == tensors_.size()) {
    return InternalError(absl::StrCat("torch file: a tensor ", Describe(dtype, shape), " after the last of ",
                                      tensors_.size(), " that were announced"));
  }
  const TensorAnnouncement& wanted = tensors_[appended_];
  if (dtype != wanted.dtype || shape != wanted.shape || bytes != CheckedByteSize(dtype, shape)) {
    return InternalError(absl::StrCat("torch file: ", Describe(wanted.dtype, wanted.shape), " is announced at ",
                                      wanted.path, ", and a tensor ", Describe(dtype, shape), " of ", bytes,
                                      " bytes comes"));
  }
  return absl::OkStatus();
}

absl::Status TorchZipWriter::Append(DType dtype, const std::vector<int64_t>& shape, std::string_view bytes) {
  RETURN_IF_ERROR(CheckNext(dtype, shape, bytes.size()));
  return zip_.Add(absl::StrCat(root_folder_, "/data/", appended_++), bytes);
}

absl::Status TorchZipWriter::AppendStream(DType dtype, const std::vector<int64_t>& shape, const ByteStream& bytes) {
  const uint64_t size = CheckedByteSize(dtype, shape).value_or(0);
  RETURN_IF_ERROR(CheckNext(dtype, shape, size));
  return zip_.AddStream(absl::StrCat(root_folder_, "/data/", appended_++), size, bytes);
}

absl::Status TorchZipWriter::Finish() {
  if (appended_ != tensors_.size()) {
    return InternalError(absl::StrCat("torch file: the tensor at ", tensors_[appended_].path, " is missing"));
  }
  RETURN_IF_ERROR(zip_.Add(absl::StrCat(root_folder_, "/version"), "3\n"));
  RETURN_IF_ERROR(zip_.Finish());
  if (file_ == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(file_->Sync());
  return file_->Close();
}

}  // namespace cubist
