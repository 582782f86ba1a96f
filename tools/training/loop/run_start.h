// Where a run starts: at its own latest checkpoint, at one elsewhere, at given weights, or new.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_START_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_START_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/loop/run_parts.h"

namespace cubist {

// Key of TrainingState's texts: the run's id at Weights & Biases.
inline constexpr char kWandbRunId[] = "wandb_run_id";

struct StartOptions {
  std::string init_from;        // weights only, for a new run; empty: none
  std::string resume_from;      // full state from elsewhere, for a new run; empty: none
  bool allow_fallback = false;  // take an older checkpoint if the latest does not verify
  // Only look: start from this step's checkpoint of the run, not the latest (0: from its beginning), and leave the
  // store as it is.
  std::optional<int64_t> replay_from_step = {};
};

struct RunStart {
  checkpoint::TrainingState state;
  bool resumed_own = false;        // the run's own folder holds a checkpoint of this state
  std::string checkpoint_sha256;   // of the manifest of the checkpoint that was loaded; empty: none was
  std::vector<std::string> lines;  // for the console
};

// Writes parameters, moments and averages into `parts`. On rank 0 the store is told what the run goes on from;
// other ranks only read. Errors: ConfigError with both values when a field differs that is FATAL on resume, or
// when a step would take another number of samples; StorageError when a checkpoint does not verify; those of
// ResolveCheckpoint and AnyCheckpoint (tools/interchange).
absl::StatusOr<RunStart> StartRun(const ValidatedExperiment& experiment, const StartOptions& options,
                                  CheckpointStore& store, const RunParts& parts);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_START_H_
