// Where a run goes: its device and its folder, from flags and config.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_

#include <string>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

// "cpu" or "cuda", where the run is to go. ConfigError for what a user may ask for and this version cannot do:
// --device cuda, and precisions of GPUs unless it is a dry run of a model that is not built, which computes nothing;
// and those of LogsToWandb(), so that all mistakes are told at once.
absl::StatusOr<std::string> ChooseDevice(const TrainFlags& flags, const ValidatedExperiment& experiment);

// Whether the run logs to Weights & Biases: by config and flags, and unless WANDB_MODE is disabled. Errors:
// ConfigErrors of the environment (tools/wandb/credentials.h), of a missing key above all.
absl::StatusOr<bool> LogsToWandb(const TrainFlags& flags, const ValidatedExperiment& experiment);

// The path of wandb-core if rank 0 starts here and logs there; else "". Errors: of LogsToWandb(), and `wandb_core`'s
// where it could not be found.
absl::StatusOr<std::string> WandbCoreOf(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                        const RankPlan& plan, const absl::StatusOr<std::string>& wandb_core);

// The folder of this run: --run_dir, else runs/ and the run's name; with --fresh the next number of it.
// ConfigError for a name that is none, for --fresh when other nodes start ranks of this run too, and for --replay_step
// when there is no such folder.
absl::StatusOr<std::string> RunFolderOf(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                        const RankPlan& plan);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_
