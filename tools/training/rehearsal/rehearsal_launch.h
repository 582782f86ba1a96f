// The front of --dry_run and --preflight: workers that rehearse, and nothing that stays.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_LAUNCH_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_LAUNCH_H_

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

// 1. Says what would be started.
// 2. Where the data would be made first, makes a few clips of it in a temporary folder.
// 3. A preflight looks at all archives, once a node: whether they open, and whether the frames that are needed are
// there.
// 4. One worker (a dry run, of the call that has rank 0) or all of the plan rehearse the run. A worker gets, beside
//    WorkerCommands()' arguments: --rehearse=dry_run|preflight --trial_folder=DIR [--data_is_made_up]
//    [--failed_before=CHECK,...], so that the preflight's last line speaks of step 3 too
// 5. The temporary folder, with the logs of ranks in it, and the trial's checkpoint are removed, whatever happened.
// Returns the exit code; the last line names the run's folder. Errors: DataError when a check of step 3 failed on
// a node other than rank 0's; of the data folder and of making data; StorageError of the temporary folder;
// those of RunWorkers(); PreemptedError when `stop` came true before the workers started.
absl::StatusOr<int> LaunchRehearsal(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                    const RankPlan& plan, const std::string& worker, const std::string& device,
                                    const std::string& run_folder, const std::atomic<bool>* stop);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_REHEARSAL_LAUNCH_H_
