// What one rank of a run works with, made from its config.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_PARTS_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_PARTS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "configs/loader.h"
#include "tools/tasks/task.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {

struct RunParts {
  BatchShape shape;
  std::unique_ptr<Task> task;
  std::unique_ptr<FlatOptimizer> optimizer;  // over the task's parameters, which are initialised from the seed
  std::unique_ptr<RunData> data;
};

// `experiment` outlives the parts. `device_name`: "cpu" or "cuda". `local_world_size`: ranks on this machine,
// which share its cores. Errors: ConfigErrors of device and precision, of the task and of the data; DataErrors of
// the data folder.
absl::StatusOr<RunParts> MakeRunParts(const ValidatedExperiment& experiment, const std::string& device_name,
                                      int local_world_size, const BatchShape& shape);

// OK if all ranks, which all call this, have the same config, the same data and the same program. ConfigError naming
// what differs, with the values and the ranks.
absl::Status AgreeOnRun(Communicator& communicator, const ValidatedExperiment& experiment, const RunParts& parts,
                        const std::string& program_version);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_PARTS_H_
