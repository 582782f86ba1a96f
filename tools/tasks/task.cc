#include "tools/tasks/task.h"

#include "base/status.h"
#include "tools/tasks/voxel_vae_task.h"

namespace cubist {

absl::StatusOr<std::unique_ptr<Task>> MakeTask(const ValidatedExperiment& experiment, at::ScalarType dtype,
                                               at::Device device) {
  switch (experiment.proto().task_case()) {
    case Experiment::kVoxelVae:
      return MakeVoxelVaeTask(experiment.proto(), dtype, device);
    case Experiment::TASK_NOT_SET:
      break;
  }
  return InternalError("a validated experiment has no task");
}

}  // namespace cubist
