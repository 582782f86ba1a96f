// checkpoint verify: whether checkpoints are whole.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_VERIFICATION_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_VERIFICATION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/interchange/checkpoint_draft.h"
#include "tools/interchange/checkpoint_reference.h"

namespace cubist {

// Reads all of a checkpoint and compares it with its checksums, one tensor at a time. What there was: "step 6250, 321
// tensors, 78.4 MB", with what should be known of it: safetensors files have no checksums; values that are not finite.
// Errors: those of AnyCheckpoint: what is damaged.
absl::StatusOr<std::string> VerifyCheckpoint(const std::string& path, const BytesProgress& progress);

// Verifies what each reference stands for: of a run's folder all its checkpoints, in the order of their steps, else
// what `resolve` says. `say` is given a line for each, "ok  PATH  ..." or "BAD  ...", and damage stops nothing.
// Errors: with the exit code of the first, and how many there were.
absl::Status VerifyCheckpoints(const std::vector<std::string>& references, const BytesProgress& progress,
                               const std::function<void(const std::string& line)>& say,
                               const CheckpointResolver& resolve = ResolveCheckpoint);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_VERIFICATION_H_
