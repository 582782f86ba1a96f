// Writes files of torch.save tensor by tensor, so that the caller never needs more than one at hand.
#ifndef CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_WRITER_H_
#define CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {

// 1. Create: the members data.pkl and byteorder.
// 2. Append for each tensor of the root, in the order of FormatPickle: the members data/0, data/1, ..., aligned to 64
//    bytes as torch aligns them.
// 3. Finish: the member version, and the archive's directory.
// These members are all that any PyTorch since 1.6 asks for (2.11 adds hints of its own). The same calls give the same
// bytes. 64-bit records where members or offsets reach 4 GiB, as torch.save writes them. After an error the file is
// lost.
class TorchZipWriter {
 public:
  // `root`: what torch.load will return. `root_folder`: of all members; torch.save takes the file's stem, or "archive".
  // Errors: DataError as FormatPickle, or for an impossible folder; StorageError.
  static absl::StatusOr<std::unique_ptr<TorchZipWriter>> Create(FileOps& ops, const std::string& path,
                                                                const PythonValue& root,
                                                                std::string_view root_folder = "archive");
  // The same for bytes that go elsewhere; errors of the sink come back from every call.
  static absl::StatusOr<std::unique_ptr<TorchZipWriter>> CreateFor(ByteSink sink, const PythonValue& root,
                                                                   std::string_view root_folder = "archive");

  // The next tensor. Errors: InternalError if its dtype or shape is not what the root announces, or if no more are
  // wanted; StorageError.
  absl::Status Append(const HostTensor& tensor);
  // The same; `bytes` are all its elements, dense and row-major.
  absl::Status Append(DType dtype, const std::vector<int64_t>& shape, std::string_view bytes);
  // The same for bytes that are not at hand all at once; `bytes` is called twice.
  absl::Status AppendStream(DType dtype, const std::vector<int64_t>& shape, const ByteStream& bytes);
  // Syncs and closes; the caller renames. Errors: InternalError if tensors are missing; StorageError.
  absl::Status Finish();

  // What Append is waiting for, in order.
  const std::vector<TensorAnnouncement>& tensors() const { return tensors_; }

 private:
  TorchZipWriter(ByteSink sink, std::string_view root_folder);
  absl::Status Start(const PythonValue& root);
  // OK if this tensor is the one that comes next.
  absl::Status CheckNext(DType dtype, const std::vector<int64_t>& shape, uint64_t bytes) const;

  std::string root_folder_;
  ZipWriter zip_;
  std::vector<TensorAnnouncement> tensors_;
  size_t appended_ = 0;
  std::unique_ptr<WritableFile> file_;  // of Create
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_WRITER_H_
