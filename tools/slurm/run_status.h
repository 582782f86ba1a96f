// What became of a run that slurm_launch submitted, in words.
#ifndef CUBIST_TOOLS_SLURM_RUN_STATUS_H_
#define CUBIST_TOOLS_SLURM_RUN_STATUS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// The run folder that a user names: a path, or the name of a run in runs/. Absolute. ConfigError if nothing there was
// launched by slurm_launch.
absl::StatusOr<std::string> FindLaunchedRun(const std::string& run);

// The runs in runs/ that slurm_launch submitted, sorted; empty if there is no such folder.
std::vector<std::string> AllLaunchedRuns();

// In a line: "runs/vae  running  slot 3 of 100  step 4200 of 6250". `now`: seconds since 1970. Errors: ledger.
absl::StatusOr<std::string> StatusLine(const std::string& run_folder, double now);

// That line, a table of the slots (job, nodes, start, hours, steps, how it ended), the hours used, and an estimate of
// the slots to go. What SLURM does not answer is said and left out. Errors: ledger.
absl::StatusOr<std::string> StatusText(const std::string& run_folder, double now);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_RUN_STATUS_H_
