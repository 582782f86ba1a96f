// Files of torch.save: a zip archive of one pickle (data.pkl) and one member a storage (data/<key>).
// Layout: shared by all PyTorch versions since 1.6; the root folder's name is taken from the archive's
// first entry. Storages are raw little-endian elements.
#ifndef CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_H_
#define CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/byte_sink.h"
#include "base/host_tensor.h"
#include "data_process/formats/pickle.h"

namespace cubist {

struct ZipMember;

struct TorchLimits {
  uint64_t max_storage_bytes = uint64_t{16} << 30;  // of one storage
  uint64_t max_tensor_bytes = uint64_t{16} << 30;   // of one tensor as materialised; of all for ReadTorchTensors
  // Read again and again, beyond what Materialize gives out, because tensors share compressed storages or have elements
  // that overlap; the default takes a minute or two.
  uint64_t max_wasted_bytes = uint64_t{32} << 30;
  int64_t max_members = 1000000;
  PickleLimits pickle;
};

// An open file. Cheap to copy (copies share it); Materialize may be called from many threads, which
// take turns.
class TorchFile {
 public:
  // What was saved: dicts, lists, numbers, and kTensor records to be handed to Materialize.
  const PickleValue& root() const { return root_; }
  // "archive" for files written through memory, else the stem of the name they were saved under.
  const std::string& root_folder() const;
  // Name, size and CRC-32 of each member, a line each: equal for files of equal contents.
  std::string Directory() const;
  // The elements of a tensor of this file, dense and row-major. Memory: the result and a few MiB; where elements
  // overlap in other ways than by a stride of 0, also the part of the storage that they lie in. The storage is read
  // once from front to back, however the tensor is permuted. Its checksum is compared the first time; later tensors in
  // it read their elements only. DenseBytes(tensor) is the result's size. Errors: DataError with file and storage: a
  // missing or short member, a checksum, a limit.
  absl::StatusOr<HostTensor> Materialize(const PickleTensor& tensor) const;
  // The same bytes in pieces, front to back. Memory: a piece, where the tensor lies dense in its storage, else as
  // above. Errors: as above, also after bytes that are damaged were handed out; those of `sink`.
  absl::Status Stream(const PickleTensor& tensor, const ByteSink& sink) const;
  // Reads every member that was not verified yet, also those that no tensor lies in. Errors: DataError naming the
  // member.
  absl::Status VerifyMembers() const;

 private:
  struct Shared;
  // The member that a tensor lies in, with sizes checked.
  absl::StatusOr<const ZipMember*> FindStorage(const PickleTensor& tensor) const;
  friend absl::StatusOr<TorchFile> OpenTorchZip(std::string_view, std::string_view, const TorchLimits&);
  friend absl::StatusOr<TorchFile> OpenTorchZipFile(const std::string&, const TorchLimits&);
  static absl::StatusOr<TorchFile> Open(std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_;
  PickleValue root_;
};

// Opens a file that lies in memory; `bytes` must outlive the result. `what` names it in messages.
// Errors: DataError: no zip archive, a damaged one, no data.pkl, big-endian storages, a pickle that
// ParsePickle refuses, the limits.
absl::StatusOr<TorchFile> OpenTorchZip(std::string_view bytes, std::string_view what, const TorchLimits& limits = {});

// Opens a file on disk; storages are read when they are asked for.
absl::StatusOr<TorchFile> OpenTorchZipFile(const std::string& path, const TorchLimits& limits = {});

// The tensors of a file that holds a dict of them under string keys, such as `pcd.vs01.pth`.
// Errors: as above, and DataError if the root is no dict or one of its values no tensor.
absl::StatusOr<std::map<std::string, HostTensor>> ReadTorchTensors(std::string_view bytes, std::string_view what,
                                                                   const TorchLimits& limits = {});

// A dict of tensors, in the order given, as torch.save would write it: torch.load(weights_only=True)
// reads it. Deterministic; root folder "archive"; storages aligned to 64 bytes. torch_zip_writer.h writes files that do
// not fit into memory, and other values than such a dict.
// Errors: DataError for a repeated name or a dtype without a torch storage class (uint16, uint32, uint64).
absl::StatusOr<std::string> FormatTorchZip(const std::vector<std::pair<std::string, HostTensor>>& tensors);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_H_
