// A checkpoint from one format to another.
#ifndef CUBIST_TOOLS_INTERCHANGE_CONVERSION_H_
#define CUBIST_TOOLS_INTERCHANGE_CONVERSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_draft.h"

namespace cubist {

struct ConversionOptions {
  bool weights_only = false;  // without averages and the optimizer's state
  bool averages = false;      // the moving averages in the place of the weights; implies weights_only
  std::string config;         // a textproto for a checkpoint that comes without; empty: none
  bool overwrite = false;     // an output file that exists (a run's folder is never replaced)
};

struct ConversionReport {
  std::string output;  // the file, or the checkpoint's folder
  uint64_t bytes = 0;  // of tensors
  int64_t tensors = 0;
  std::vector<std::string> remarks;  // what was left out or assumed, a sentence each
};

// What `source` becomes. Errors: ConfigError: no averages in it, a config that cannot be read; those of `source`.
absl::StatusOr<CheckpointDraft> DraftOf(const AnyCheckpoint& source, const ConversionOptions& options,
                                        std::vector<std::string>* remarks);

// A parent's record for the manifest.
checkpoint::Parent ParentOf(const CheckpointDescription& description, std::string_view role = "");

// ConfigError if `output` cannot be written without losing something: it exists and is not to be overwritten, is a
// folder, or is one of `sources`.
absl::Status CheckOutput(const std::string& output, const std::vector<std::string>& sources, bool overwrite);

// Writes the draft as its name says: .ckpt, .pth or .pt for the reference, .safetensors, or a run's folder.
absl::Status WriteDraft(FileOps& ops, const std::string& output, const CheckpointDraft& draft,
                        const BytesProgress& progress, ConversionReport* report);

// Reads all of `source` and writes `output`. Memory: the largest tensor and a few megabytes.
absl::StatusOr<ConversionReport> ConvertCheckpoint(FileOps& ops, const AnyCheckpoint& source, const std::string& output,
                                                   const ConversionOptions& options, const BytesProgress& progress);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CONVERSION_H_
