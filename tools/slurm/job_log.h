// What SLURM writes into a job's own log when it ends the job.
#ifndef CUBIST_TOOLS_SLURM_JOB_LOG_H_
#define CUBIST_TOOLS_SLURM_JOB_LOG_H_

#include <string>
#include <string_view>

namespace cubist {

// The line that the slot says before it starts work: the log of a job that was requeued has several.
std::string SlotHeading(int slot);

// The state in which SLURM ends the job, as slurmstepd says it in the log after the heading of this slot: "*** JOB 7 ON
// n1 CANCELLED AT ... DUE TO TIME LIMIT ***" is "TIMEOUT"; "PREEMPTED", "NODE_FAIL" and "CANCELLED" likewise. Empty if
// it does not say, or because the job was requeued. It says so before it sends SIGTERM, when scontrol's answer is
// COMPLETING whatever the cause, and it lasts when SLURM has forgotten the job.
std::string EndStateInJobLog(std::string_view log, int slot);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_JOB_LOG_H_
