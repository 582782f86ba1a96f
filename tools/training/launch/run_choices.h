// What a run is to be: its device, whether it logs to Weights & Biases, and its folder, from flags and config.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_

#include <string>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

struct RunChoices {
  std::string device;  // "cpu" or "cuda"
  bool logs_to_wandb =
      false;  // rank 0 starts here and logs there: config and flags say so, and WANDB_MODE not disabled
};

// ConfigError, with all mistakes at once, for what a user may ask for and this version cannot do: --device cuda, and
// precisions of GPUs unless it is a dry run of a model that is not built, which computes nothing; and, where rank 0
// starts here, for what the environment says of Weights & Biases (tools/wandb/credentials.h): a missing key above all.
absl::StatusOr<RunChoices> ChooseRun(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                     bool has_rank_zero);

// The folder of this run: --run_dir, else runs/ and the run's name; with --fresh the next number of it.
// ConfigError for a name that is none, for --fresh when other nodes start ranks of this run too, and for --replay_step
// when there is no such folder.
absl::StatusOr<std::string> RunFolderOf(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                        const RankPlan& plan);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_
