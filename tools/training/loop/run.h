// One rank's part of a training run, from config to exit.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_H_

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/run_options.h"

namespace cubist {

// Trains until training.max_steps or a stop; with replay_step see replay.h. Resumes from the run folder's latest
// checkpoint if there is one; a config field that differs from it and is FATAL on resume is a ConfigError with both
// values. Statuses carry the exit code of the process.
absl::Status RunTraining(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_H_
