// Reading a committed checkpoint: every byte that is handed out was checked against the manifest.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_READER_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_READER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_sink.h"
#include "base/dtype.h"
#include "base/host_tensor.h"
#include "tools/training/checkpoint/checkpoint.pb.h"

namespace cubist {

// A whole tensor of a checkpoint, put together from its parts.
struct CheckpointTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
};

// An opened checkpoint folder. All errors are StorageErrors (exit code 6) that name the file and,
// where there is one, the tensor.
class Checkpoint {
 public:
  // Reads and verifies the manifest, the training state, the config, and each tensor file's size and
  // header. Tensors are verified when they are read.
  static absl::StatusOr<Checkpoint> Open(const std::string& folder);

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::string& folder() const;
  int64_t step() const;
  const checkpoint::Manifest& manifest() const;
  // What later checkpoints name as their parent: 64 hexadecimal digits.
  const std::string& manifest_sha256() const;
  const checkpoint::TrainingState& state() const;
  // The text of config.textproto as it was saved; empty if none was.
  const std::string& config_text() const;

  // "ema", "model", "optimizer": sorted.
  std::vector<std::string> Groups() const;
  bool HasGroup(std::string_view group) const;
  // Sorted by name; empty for a group that is not there.
  std::vector<CheckpointTensor> Tensors(std::string_view group) const;

  // One tensor, verified, its parts put together.
  absl::StatusOr<HostTensor> Read(std::string_view group, std::string_view name) const;
  // The same bytes in pieces, front to back. Memory: a piece, where the tensor is in one part. Errors: as Read, also
  // after bytes that do not verify were handed out; those of `sink`.
  absl::Status Stream(std::string_view group, std::string_view name, const ByteSink& sink) const;
  // All tensors of a group in the order of their names, one in memory at a time; the first error of
  // a read or of `consume` ends it.
  absl::Status ForEach(std::string_view group,
                       const std::function<absl::Status(const std::string& name, HostTensor tensor)>& consume) const;
  // All tensors of a group at once.
  absl::StatusOr<std::map<std::string, HostTensor>> ReadAll(std::string_view group) const;
  // Reads and verifies everything. Keeps nothing.
  absl::Status Verify() const;

 private:
  struct Contents;
  explicit Checkpoint(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_READER_H_
