// What one rank's part of a run is told beside its config.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_OPTIONS_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tools/training/loop/run_observer.h"
#include "tools/training/loop/run_start.h"
#include "tools/training/loop/step_range.h"

namespace cubist {

struct RunOptions {
  std::string run_directory;   // exists, and is locked by whoever started this rank
  std::string device = "cpu";  // "cpu" or "cuda"
  int local_world_size = 1;    // ranks on this machine, which share its cores
  StartOptions start;
  std::string program_version;
  std::string wandb_core;                  // that program's path, where logging.logger_type is WANDB
  std::function<bool()> stop_requested;    // polled in every loop and wait
  int64_t replay_step = 0;                 // take this step of the run's ledger again instead; 0: train
  std::optional<StepRange> profile_steps;  // a Chrome trace of these is written
  RunObserver* observer = nullptr;         // for tests
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_OPTIONS_H_
