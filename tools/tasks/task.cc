#include "tools/tasks/task.h"

#include "base/status.h"
#include "tools/tasks/built_models.h"
#include "tools/tasks/reconstruction_batch.h"
#include "tools/tasks/voxel_diffusion_batch.h"
#include "tools/tasks/voxel_vae_task.h"

namespace cubist {

absl::StatusOr<std::unique_ptr<Task>> MakeTask(const ValidatedExperiment& experiment, at::ScalarType dtype,
                                               at::Device device) {
  RETURN_IF_ERROR(CheckModelIsBuilt(experiment.proto()));
  if (experiment.proto().has_voxel_vae()) return MakeVoxelVaeTask(experiment.proto(), dtype, device);
  return InternalError("a model is said to be built and has no task");
}

absl::StatusOr<std::unique_ptr<BatchMaker>> MakeBatchMaker(const ValidatedExperiment& experiment, at::ScalarType dtype,
                                                           at::Device device) {
  switch (experiment.proto().task_case()) {
    case Experiment::kVoxelVae:
      return MakeVoxelVaeTask(experiment.proto(), dtype, device);
    case Experiment::kVoxelDiffusion:
      return MakeVoxelDiffusionBatches(experiment.proto(), device);
    case Experiment::kGaussianReconstruction:
      return MakeReconstructionBatches(experiment.proto(), device);
    case Experiment::TASK_NOT_SET:
      break;
  }
  return InternalError("a validated experiment has no task");
}

}  // namespace cubist
