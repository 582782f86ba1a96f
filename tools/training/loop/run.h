// One rank's part of a training run, from config to exit.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/run_start.h"

namespace cubist {

struct RunOptions {
  std::string run_directory;   // exists, and is locked by whoever started this rank
  std::string device = "cpu";  // "cpu" or "cuda"
  int local_world_size = 1;    // ranks on this machine, which share its cores
  StartOptions start;
  std::string program_version;
  std::function<bool()> stop_requested;  // polled in every loop and wait
};

// Trains until training.max_steps or a stop. Resumes from the run folder's latest checkpoint if there
// is one; a config field that differs from it and is FATAL on resume is a ConfigError with both
// values. Statuses carry the exit code of the process.
absl::Status RunTraining(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_H_
