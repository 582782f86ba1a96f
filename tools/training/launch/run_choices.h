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

// Where a run is to be.
struct RunPlace {
  bool has_gpu = false;
  bool has_rank_zero = true;
  int world_size = 1;
};

// Of this machine, as far as its device files and CUDA_VISIBLE_DEVICES tell.
bool HasNvidiaGpu();

// --device auto is a GPU where there is one and the precision is not FP64. ConfigError, with all mistakes at once:
// --device cuda without a GPU; precisions of GPUs on a CPU, unless it is a dry run of a model that is not built, which
// computes nothing; several ranks on GPUs, which this version cannot do; and, where rank 0 starts, for what the
// environment says of Weights & Biases (tools/wandb/credentials.h): a missing key above all.
absl::StatusOr<RunChoices> ChooseRun(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                     const RunPlace& place);

// The folder of this run: --run_dir, else runs/ and the run's name; with --fresh the next number of it.
// ConfigError for a name that is none, for --fresh when other nodes start ranks of this run too, and for --replay_step
// when there is no such folder.
absl::StatusOr<std::string> RunFolderOf(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                        const RankPlan& plan);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_RUN_CHOICES_H_
