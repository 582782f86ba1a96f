// The batch script of a run: what sbatch reads, and a person.
#ifndef CUBIST_TOOLS_SLURM_BATCH_SCRIPT_H_
#define CUBIST_TOOLS_SLURM_BATCH_SCRIPT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/proto/launch.pb.h"

namespace cubist {

// What a slot runs, all paths absolute.
struct SlotCommand {
  std::string bundle;  // folder of the programs
  std::string run_folder;
  std::string working_folder;          // that relative paths of config and command count from
  std::vector<std::string> arguments;  // of train, after the config and --run_dir
  int gpus_per_node = 0;
};

// Lists every field that sbatch or srun could misread, each with what it should be: values with control characters,
// a warning that is longer than the limit, options that slurm_launch itself decides (--dependency, --array, ...),
// variables without a name, mounts with commas or colons in the wrong place. A ConfigError.
absl::Status CheckBatchOptions(const Launch& launch);

// The script, for launch options that CheckBatchOptions() accepts. Its options of sbatch are simple values: paths stand
// in none of them, since the script is submitted from the run's folder slurm/, and below them every word is quoted for
// bash.
std::string BatchScript(const Launch& launch, const SlotCommand& slot);

// The script of a sweep, an array: task N starts the script of the run N, in its folder slurm/.
std::string SweepScript(const Launch& launch, const std::string& name, const std::vector<SlotCommand>& runs);

// "slurm/<name>" of a run's folder.
constexpr char kScriptName[] = "slot.sh";

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_BATCH_SCRIPT_H_
