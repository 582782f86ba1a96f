// slurm_launch status, cancel and logs.
#ifndef CUBIST_TOOLS_SLURM_RUN_COMMANDS_H_
#define CUBIST_TOOLS_SLURM_RUN_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace cubist {

// Prints StatusText() of each run, or without any a line for each in runs/. Errors: of run_status.h.
absl::Status ShowStatus(const std::vector<std::string>& runs);

// Ends a run's chain, whose ledger then says so. Jobs that wait are cancelled; one that runs is asked to save first,
// unless `now`. Prints what was done. ConfigError if SLURM has no job of it, and what scancel says; PeerLostError if
// SLURM does not answer.
absl::Status CancelRun(FileOps& ops, const std::string& run, bool now);

struct LogsOptions {
  int slot = 0;  // 0: the last one
  int rank = 0;
  bool launch = false;  // launch.log in the place of a rank's
  int lines = 40;
  bool follow = false;
};

// Prints the end of a slot's log and what comes to it, slot after slot, until a signal comes or the chain is over.
// ConfigError if there is no such log; it names those that there are.
absl::Status ShowLogs(const std::string& run, const LogsOptions& options);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_RUN_COMMANDS_H_
