// One slot of a run, inside a job: what the batch script hands over to.
//
// Protocol:
// 1. The run's slurm/lock is taken: a slot that still runs somewhere is waited for, a little.
// 2. If the ledger has a slot without an end, how it ended is found out (the exit codes that its nodes left, scontrol,
//    squeue, sacct) and recorded, with the step of the newest checkpoint that verifies.
// 3. slot_decision.h says whether the chain goes on. If not, that is recorded, and this is all.
// 4. A successor is submitted that waits for the end of this job, however that comes (afterany), unless one waits
//    already or this is the last slot of -i. Only then does work start: nothing that kills this job ends the run.
// 5. The start is recorded, and srun runs, with its output in logs/slot-N/launch.log. USR1 (SLURM's warning) and
//    TERM are recorded and handed to all nodes as USR1: they save and end with 75. On TERM SLURM is asked at once what
//    becomes of the job.
// 6. The end is recorded, and slot_decision.h asked again. Done or stopped: the successor is cancelled. To go on:
//    `scontrol requeue` puts this very job back into the queue, which is quicker than the successor; where SLURM
//    refuses, or ends the job itself, the successor acts.
#ifndef CUBIST_TOOLS_SLURM_SLOT_H_
#define CUBIST_TOOLS_SLURM_SLOT_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

struct SlotOptions {
  std::chrono::milliseconds lock_wait = std::chrono::seconds(60);
  // Between questions to a SLURM that does not answer, of which there are three.
  std::chrono::milliseconds query_pause = std::chrono::seconds(5);
};

// Runs a slot of the run in `run_folder`, an absolute path; `command` is srun with all its words, and --log_dir is
// added at its end. The exit code of the batch script: that of the run, 75 where another slot follows.
// To be called while the process has one thread. Errors: ConfigError outside of a job; StorageErrors of lock, ledger
// and logs.
absl::StatusOr<int> RunSlot(const std::string& run_folder, const std::vector<std::string>& command,
                            const Environment& environment, const SlotOptions& options = {});

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SLOT_H_
