// From options to a job that waits in SLURM's queue.
#ifndef CUBIST_TOOLS_SLURM_LAUNCH_H_
#define CUBIST_TOOLS_SLURM_LAUNCH_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "configs/proto/launch.pb.h"

namespace cubist {

// The folder of programs that slots start, which the nodes see. `parent` is where one may be made; a dry run makes none
// and gets the path that it would have.
using FindBundle = std::function<absl::StatusOr<std::string>(const std::string& parent, bool dry_run)>;

// Checks everything that can be checked without the nodes, writes slurm/ of the run's folder (slurm_folder.h), begins a
// chain in its ledger, and submits; a sweep's runs each, as one array. What was submitted, in words; of a dry run,
// which writes nothing, what would be. To be called in the folder that the user stands in.
// Errors: ConfigError for options, command or config, a run that another config began, a chain of the run that is not
// over, and what sbatch refuses (then the ledger says so, or nothing is left of a new run); StorageErrors.
absl::StatusOr<std::string> RunLaunch(FileOps& ops, const Launch& launch, const FindBundle& find_bundle);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_LAUNCH_H_
