// A checkpoint of any kind, opened: ours, a torch.save file of the reference (.ckpt, .pth), or safetensors. What it
// holds is given as ours has it: groups of named tensors ("model", "ema", "optimizer") and the state of a run.
#ifndef CUBIST_TOOLS_INTERCHANGE_ANY_CHECKPOINT_H_
#define CUBIST_TOOLS_INTERCHANGE_ANY_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

struct ListedTensor {
  std::string group;
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;

  uint64_t bytes() const { return CheckedByteSize(dtype, shape).value_or(0); }
};

enum class CheckpointFormat { kCubist, kTorch, kSafetensors };

// All about a checkpoint but its tensors.
struct CheckpointDescription {
  std::string path;  // a folder or a file
  CheckpointFormat format = CheckpointFormat::kCubist;
  std::string format_name;  // "Cubist", "Lightning 1.9.4", "torch state dict", "safetensors"
  // 64 hexadecimal digits that name the content, for lineage. Ours: the SHA-256 of the manifest, which has a hash of
  // every tensor. A torch file's: that of its directory, which has a CRC-32 of every storage. Safetensors': of its
  // header and up to a megabyte of each
  // tensor.
  std::string identity;
  checkpoint::TrainingState state;  // only the fields that the file tells
  std::string config_text;          // a complete textproto; empty if there is none
  std::string config_hash;          // of its canonical form; empty if not known
  std::vector<checkpoint::Parent> parents;
  std::optional<double> created;  // seconds since 1970-01-01 UTC
  std::string host, program_version;
  std::map<std::string, std::string> metadata;  // of a safetensors file
  // Not OK: why the optimizer's state of a file cannot be told; the group is left out then.
  absl::Status optimizer;
  // What the file holds and the rest does not say, a sentence each.
  std::vector<std::string> remarks;
};

class AnyCheckpoint {
 public:
  // `path`: a checkpoint's folder or a file; its bytes, not its name, tell what it is.
  // Errors: ConfigError if there is nothing, or something that is none of the three; StorageErrors (ours) and
  // DataErrors (files of others) that name file and tensor: damaged, hostile, or at odds with itself.
  static absl::StatusOr<std::unique_ptr<AnyCheckpoint>> Open(const std::string& path);
  virtual ~AnyCheckpoint() = default;

  const CheckpointDescription& description() const { return description_; }
  // By group, within one in the order of the file: in those of the reference, that is the order in which modules were
  // registered, which numbers the optimizer's state.
  const std::vector<ListedTensor>& tensors() const { return tensors_; }
  bool HasGroup(std::string_view group) const;
  // Number in tensors(); empty if there is none.
  std::optional<size_t> Find(std::string_view group, std::string_view name) const;
  // Bytes of all tensors of a group; of all groups for "".
  uint64_t TotalBytes(std::string_view group = "") const;

  // tensors()[i], dense, verified where the format has checksums. One thread at a time. Errors: as Open.
  virtual absl::StatusOr<HostTensor> Read(size_t i) const = 0;
  // The same bytes in pieces, front to back; memory a piece, unless the tensor lies scattered. Errors: as above, also
  // after bytes that are damaged were handed out; those of `sink`.
  virtual absl::Status Stream(size_t i, const ByteSink& sink) const;
  // Reads what the list does not show: storages that nothing above was made of. Errors: as Open.
  virtual absl::Status VerifyRest() const { return absl::OkStatus(); }

 protected:
  // To be filled by whoever opens.
  void SetTensors(std::vector<ListedTensor> tensors);
  CheckpointDescription description_;

 private:
  std::vector<ListedTensor> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;  // "group/name"
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_ANY_CHECKPOINT_H_
