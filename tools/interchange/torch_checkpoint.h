// Files of torch.save as AnyCheckpoint: Lightning checkpoints of the reference, and plain state dicts.
//
// A Lightning checkpoint becomes:
//   1. "model": the state dict without the moving averages, under its own names;
//   2. "ema": "unet_ema.<name without dots>" under the parameter's name; its count is the counter "ema/updates";
//   3. "optimizer": exp_avg.NAME, exp_avg_sq.NAME, max_exp_avg_sq.NAME of optimizer_states[0], where numbers stand for
//      parameters (reference_names.h), and the number of steps as "step";
//   4. the state of the run: the step (of loops, else global_step), "reference/epoch", and for the way back
//      "reference/unsaved_parameters" and "reference/hyper_parameters" (JSON);
//   5. the config: hyper_parameters, as far as fields exist.
// What convert itself wrote under "cubist" (lightning_file.h) goes before 4 and 5. The rest (callbacks, schedulers,
// loops, scaler) is named in the remarks.
#ifndef CUBIST_TOOLS_INTERCHANGE_TORCH_CHECKPOINT_H_
#define CUBIST_TOOLS_INTERCHANGE_TORCH_CHECKPOINT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// Errors: those of torch_zip.h; DataError for a file that holds no state dict, a tensor that is not read, averages of
// no parameter. An optimizer whose numbers cannot be matched is description().optimizer.
absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenTorchCheckpoint(const std::string& path);

// Counters, numbers and texts of the state (steps 2 and 4).
inline constexpr char kEmaUpdatesCounter[] = "ema/updates";
inline constexpr char kEmaDecayNumber[] = "ema/decay";
inline constexpr char kEpochCounter[] = "reference/epoch";
inline constexpr char kUnsavedCounter[] = "reference/unsaved_parameters";
inline constexpr char kHyperParametersText[] = "reference/hyper_parameters";

// What convert keeps of a run in a .ckpt, a dict beside the state dict; the reference does not look at it.
inline constexpr char kOwnKey[] = "cubist";
inline constexpr char kOwnState[] = "training_state";  // in protobuf's text format
inline constexpr char kOwnConfig[] = "config";         // a textproto
inline constexpr char kOwnAverages[] = "ema";          // tensors, of models whose averages the reference does not have

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TORCH_CHECKPOINT_H_
