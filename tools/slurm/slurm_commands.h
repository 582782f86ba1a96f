// SLURM's own programs: sbatch, scontrol, squeue, sacct and scancel, found in PATH. Jobs are named as SLURM does:
// "1234", or "1234_5", the task 5 of an array.
#ifndef CUBIST_TOOLS_SLURM_SLURM_COMMANDS_H_
#define CUBIST_TOOLS_SLURM_SLURM_COMMANDS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

// The job that this process runs in; empty outside of one. A task of an array is "1234_5": the number that SLURM gives
// its last task is that of the whole array.
std::string OwnJob(const Environment& environment);

// The environment that jobs begin with: that of this process without what belongs to this process alone: the job that
// it runs in (SLURM_*), and Bazel's folders (BUILD_*, RUNFILES_*, TEST_*, ...); and without variables that would win
// over what this script says (SBATCH_TIMELIMIT, SBATCH_WAIT, ...). "NAME=value", sorted.
std::vector<std::string> EnvironmentForJobs(std::string_view script);

// Hands a script to sbatch, which starts in `folder`; the number of the job. `options` come before the script.
// Errors: ConfigError with what sbatch says.
absl::StatusOr<std::string> SubmitScript(const std::string& folder, const std::vector<std::string>& options,
                                         const std::string& script);

struct JobState {
  // As SLURM calls it, "PENDING", "RUNNING", "TIMEOUT"; empty: SLURM answers, and no longer knows the job.
  std::string state;
  std::string reason;            // of a job that waits: "Dependency", "Resources"
  std::optional<int> exit_code;  // of the batch script, where it ended by itself

  bool is_known() const { return !state.empty(); }
  bool is_over() const;  // no step of it will run any more
  // The state that it ends in, also while SLURM still ends it and calls that COMPLETING; empty: not known.
  std::string EndState() const;
  bool is_waiting() const;  // PENDING and its like
};

// What SLURM knows of a job: scontrol is asked, then squeue, and sacct where both have forgotten it.
// PeerLostError when nobody answers: then nothing is known.
absl::StatusOr<JobState> QueryJob(const std::string& job);

// Puts a running batch job, mostly this one, back into the queue. ConfigError with what scontrol says.
absl::Status RequeueJob(const std::string& job);

// Cancels jobs; one that is over is no error. With `signal` (as "USR1") only that signal is sent, to the batch script.
// ConfigError with what scancel says.
absl::Status CancelJobs(const std::vector<std::string>& jobs, const std::string& signal = "");

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_SLURM_COMMANDS_H_
