// One slot of a run, inside a job: what the batch script hands over to.
//
// Protocol:
// 1. The run's slurm/lock is taken: a slot that still runs somewhere is waited for, a little.
// 2. If the ledger has a slot without an end, how it ended is found out (the exit codes that its nodes left, scontrol,
//    squeue, sacct) and recorded. If the job before was put back into the queue and cancelled there, the chain ends.
// 3. The newest checkpoint is read and verified: what the last slot brought counts for no more than that. If the ledger
//    knows of a later one, it is waited for a little (NFS), and without it the chain ends: no run starts anew unasked.
//    Then slot_decision.h says whether the chain goes on. If not, that is recorded, and this is all.
// 4. A successor is submitted that waits for the end of this job, however that comes (afterany), unless one waits
//    already or this is the last slot of -i. Only then does work start: nothing that kills this job ends the run.
// 5. The start is recorded, and srun runs, with its output in logs/slot-N/launch.log. USR1 (SLURM's warning) and
//    TERM are recorded and handed to all nodes as USR1: they save and end with 75. On TERM SLURM is asked at once what
//    becomes of the job.
// 6. The end is recorded, and slot_decision.h asked again. Done or stopped: the successor is cancelled. To go on: if
// SLURM
//    says that this job is running, and nobody has cancelled it meanwhile, `scontrol requeue` puts it back into the
//    queue; where SLURM refuses, or ends the job itself, the successor acts.
#ifndef CUBIST_TOOLS_SLURM_SLOT_H_
#define CUBIST_TOOLS_SLURM_SLOT_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

struct SlotOptions {
  // A slot that is still ending, or whose node is lost and whose locks the file server gives up after a while.
  std::chrono::milliseconds lock_wait = std::chrono::minutes(10);
  // For a checkpoint that the ledger knows of.
  std::chrono::milliseconds checkpoint_wait = std::chrono::minutes(1);
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
