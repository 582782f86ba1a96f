// A checkpoint that is to be written: tensors of opened ones, under the names that they will have.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DRAFT_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DRAFT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

struct DraftTensor {
  ListedTensor tensor;                    // as it will be called
  const AnyCheckpoint* source = nullptr;  // lives as long as the draft
  size_t number = 0;                      // in source->tensors(), of the same dtype and shape

  absl::Status Stream(const ByteSink& sink) const { return source->Stream(number, sink); }
};

struct CheckpointDraft {
  std::vector<DraftTensor> tensors;  // in the order of writing
  checkpoint::TrainingState state;   // state.step() may be missing: weights alone
  std::string config_text, config_hash;
  std::vector<checkpoint::Parent> parents;
  double created = 0;  // seconds since 1970-01-01 UTC: that of the newest parent, so that equal inputs give equal bytes

  std::vector<const DraftTensor*> Group(std::string_view group) const;
  uint64_t TotalBytes() const;
};

// Called with the bytes that are done and all there are. An error, such as that a signal came, ends the work.
using BytesProgress = std::function<absl::Status(int64_t done, int64_t total)>;

// Tells a progress of the bytes that pass by.
class ByteCounter {
 public:
  // `progress` may be empty, and outlives this.
  ByteCounter(int64_t total, const BytesProgress& progress) : total_(total), progress_(progress) {}
  // To `sink`, counted.
  ByteSink Through(ByteSink sink);

 private:
  const int64_t total_;
  const BytesProgress& progress_;
  int64_t done_ = 0;
};

// A run's folder: config.textproto (if there is a config) and checkpoints/step-N with all groups. `train --run_dir`
// goes on with it and --init_from takes it. `more` are small files beside them, contents by name. It is made under a
// temporary name and renamed: as a whole or not at all. Reads one tensor at a time. Returns the checkpoint's folder.
// Errors: ConfigError if there is a `folder` already; StorageError; those of the sources.
absl::StatusOr<std::string> WriteRunFolder(FileOps& ops, const std::string& folder, const CheckpointDraft& draft,
                                           const BytesProgress& progress,
                                           const std::map<std::string, std::string>& more = {});

// One safetensors file as a whole or not at all: the group "model" under its names, other groups with prefixes and the
// state as metadata (safetensors_checkpoint.h). Errors: as above.
absl::Status WriteSafetensorsDraft(FileOps& ops, const std::string& path, const CheckpointDraft& draft,
                                   const BytesProgress& progress);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DRAFT_H_
