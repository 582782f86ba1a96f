// A checkpoint as the reference's files have it.
//
// With an optimizer's state and a config, a Lightning 1.9.4 checkpoint that the reference's trainer resumes from:
//   1. "state_dict": the group "model" in its order, then "unet_ema.*" of a diffusion model's averages;
//   2. "optimizer_states", "lr_schedulers": AdamW by numbers of parameters (reference_names.h), the schedule at this
//   step;
//   3. "epoch", "global_step", "loops": how far the run has come; progress within an epoch begins anew;
//   4. "hyper_parameters", as a plain dict: only if the checkpoint came with them.
// Else {"state_dict": ...}, as the reference's merge writes it and its inference code reads it.
// Both have "cubist" (torch_checkpoint.h), which the reference does not look at. torch.load(weights_only=True) reads
// them.
#ifndef CUBIST_TOOLS_INTERCHANGE_LIGHTNING_FILE_H_
#define CUBIST_TOOLS_INTERCHANGE_LIGHTNING_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "tools/interchange/checkpoint_draft.h"

namespace cubist {

// Writes the file as a whole or not at all; one tensor in memory at a time. What the file cannot hold is added to
// `remarks`. Errors: StorageError; DataErrors of the sources, of a config that cannot be read, of a dtype that torch
// has not; ConfigError for names that are averages of two parameters.
absl::Status WriteTorchDraft(FileOps& ops, const std::string& path, const CheckpointDraft& draft,
                             const BytesProgress& progress, std::vector<std::string>* remarks);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_LIGHTNING_FILE_H_
