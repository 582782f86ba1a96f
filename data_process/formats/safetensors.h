// Tensors in the safetensors format: 8 bytes of header length, a JSON header, the data.
// Format: huggingface/safetensors, README "Format".
#ifndef CUBIST_DATA_PROCESS_FORMATS_SAFETENSORS_H_
#define CUBIST_DATA_PROCESS_FORMATS_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_sink.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"

namespace cubist {

struct SafetensorsLimits {
  uint64_t max_header_bytes = 100000000;  // as the format's own implementation
  uint64_t max_tensor_bytes = uint64_t{64} << 30;
};

struct TensorInfo {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // of its first byte within the file
  uint64_t size = 0;    // bytes
};

// A file whose header is in memory; tensors are read one at a time. Immutable: many threads may Read.
class SafetensorsFile {
 public:
  // Reads and verifies the header: names are unique, sizes match dtype and shape, the tensors fill the
  // data without overlap or hole to the end of the file.
  // Errors: DataError with file, tensor and offset.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path,
                                                               const SafetensorsLimits& limits = {});
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& path() const { return path_; }
  // In the order of their data.
  const std::vector<std::string>& names() const { return names_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Null if there is no such tensor.
  const TensorInfo* Info(std::string_view name) const;
  // Errors: DataError if there is no such tensor, or with the offset at which reading failed.
  absl::StatusOr<HostTensor> Read(std::string_view name) const;
  // The same bytes in pieces, front to back, of which one is in memory.
  absl::Status Stream(std::string_view name, const ByteSink& sink) const;

 private:
  SafetensorsFile() = default;
  absl::Status ReadHeader(const SafetensorsLimits& limits);

  std::string path_;
  int descriptor_ = -1;
  std::vector<std::string> names_;
  std::unordered_map<std::string, TensorInfo> infos_;
  std::map<std::string, std::string> metadata_;
};

// A tensor that somebody else holds, dense and row-major.
struct NamedTensorView {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

// Writes a file tensor by tensor, so that the caller never needs more than one at hand. The same
// calls give the same bytes. The header is padded with spaces to a multiple of 8 bytes.
class SafetensorsWriter {
 public:
  // Creates the file and writes its header. `tensors` in the order in which their data will come;
  // offset and size in them are not looked at. Errors: DataError for a repeated or reserved name, an
  // impossible shape or a header beyond the format's limit; StorageError.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> Create(FileOps& ops, const std::string& path,
                                                                   const std::vector<TensorInfo>& tensors,
                                                                   const std::map<std::string, std::string>& metadata);
  // The whole data of the next tensor, or some of it: calls may cut the data anywhere.
  // Errors: InternalError if more comes than was announced; StorageError.
  absl::Status Append(const void* bytes, size_t size);
  // Syncs and closes; the caller renames. Errors: InternalError if data is missing; StorageError.
  absl::Status Finish();

 private:
  SafetensorsWriter() = default;

  std::string path_;
  std::unique_ptr<WritableFile> file_;
  uint64_t remaining_ = 0;
};

// Create, Append for each tensor, Sync, Close; the caller renames. Errors as above.
absl::Status WriteSafetensors(FileOps& ops, const std::string& path, const std::vector<NamedTensorView>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

// "F32", "I64", ...: the format's name of a dtype.
std::string_view SafetensorsName(DType dtype);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_SAFETENSORS_H_
