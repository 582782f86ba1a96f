// What the front does before workers start: data that is there, a folder for the run, and the commands of
// the workers.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_RUN_PREPARATION_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_RUN_PREPARATION_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "configs/loader.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/checkpoint/run_lock.h"
#include "tools/training/launch/launcher.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

// Whether data.data_root has to be synthesized first. DataError when it does not exist and the config has no
// data.synthesize, or when it is no folder.
absl::StatusOr<bool> MustSynthesize(const ValidatedExperiment& experiment);

// Makes the data if it must be, for a rehearsal a clip or two of it, with progress on stderr. Errors: of
// MustSynthesize() and SynthesizeScenes(). Any number of processes may do so at once.
absl::Status PrepareData(FileOps& ops, const ValidatedExperiment& experiment, const std::atomic<bool>* stop,
                         bool for_rehearsal = false);

// Ranks, worker and data of the run that would start, a line each. Errors: of MustSynthesize().
absl::StatusOr<std::string> DescribeRun(const ValidatedExperiment& experiment, const RankPlan& plan,
                                        const std::string& worker, const std::string& device);

// A run whose folder exists and, if rank 0 starts here, is locked for it.
struct PreparedRun {
  RunFolder folder;
  std::unique_ptr<RunLock> lock;
  bool is_new = false;  // this call made the folder, and no other starts ranks in it
};
// Errors: StorageErrors of the folder and of its lock (another run holds it).
absl::StatusOr<PreparedRun> PrepareRunFolder(FileOps& ops, const std::string& path, const RankPlan& plan);

// After a run that ended with this code: when it is that of a mistake in config, data or storage, removes the
// folder if this call made it and neither a row nor a checkpoint came into it.
void RemoveIfUnused(FileOps& ops, const PreparedRun& run, int exit_code);

// Paths of the programs that a run is made of.
struct RunPrograms {
  std::string worker;
  std::string wandb_core;  // where rank 0 needs it
};

// The workers that this call starts, with the sockets and the config that they inherit. A worker's command line:
//   train_worker --config=PATH --run_dir=DIR --device=cpu|cuda [--init_from=REF] [--resume_from=REF]
//                [--allow_fallback] [--profile_steps=FIRST:LAST] [--replay_step=N] [--wandb_core=PATH]
// PATH is a file in memory with the canonical config; who writes <run>/config.textproto is rank 0, once it has
// found that the run may go on with it. Rank and rendezvous are in the environment: see ReadWorkerPlace().
// Rank 0 writes to this process's output, other ranks to <run>/logs/rank-N.log; with --log_dir all of them there.
absl::StatusOr<std::vector<WorkerCommand>> WorkerCommands(const TrainFlags& flags,
                                                          const ValidatedExperiment& experiment, const RankPlan& plan,
                                                          const RunFolder& folder, const RunPrograms& programs,
                                                          const std::string& device);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_RUN_PREPARATION_H_
