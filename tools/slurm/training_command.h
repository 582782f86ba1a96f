// The training command of a launch, `train CONFIG ...`, as slots will run it.
#ifndef CUBIST_TOOLS_SLURM_TRAINING_COMMAND_H_
#define CUBIST_TOOLS_SLURM_TRAINING_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/training/launch/train_flags.h"

namespace cubist {

struct TrainingCommand {
  ValidatedExperiment experiment;      // that all slots train by
  TrainFlags flags;                    // as the command gives them
  std::string run_folder;              // absolute
  std::vector<std::string> arguments;  // of train in a slot: flags that are no fields of the config
};

// What a run of a sweep has that others have not.
struct SweepRun {
  std::vector<std::string> overrides;  // "learning_rate.initial=1e-4"
  std::string suffix;                  // of its folder's name, "_initial=1e-4"
};

// Reads a launch's `sweep`, in its order. ConfigError: what SplitShellWords() refuses, an override without "=", two
// runs of one name.
absl::StatusOr<std::vector<SweepRun>> ReadSweep(const std::vector<std::string>& sweep);

// Reads a command: its words, the flags of train in them, the config with them, `seed` unless they give one, and the
// overrides of a sweep's run; and chooses the run's folder as train does, from the current folder.
// Errors (ConfigError): no `train CONFIG`, flags that do something else than train (--dry_run, --explain, ...), or
// give a slot's logs another place, and every mistake in flags and config.
absl::StatusOr<TrainingCommand> ReadTrainingCommand(const std::string& command, std::optional<int64_t> seed,
                                                    const SweepRun& sweep = {});

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_TRAINING_COMMAND_H_
