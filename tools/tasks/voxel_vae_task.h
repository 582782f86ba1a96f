// The voxel VAE as a training task.
#ifndef CUBIST_TOOLS_TASKS_VOXEL_VAE_TASK_H_
#define CUBIST_TOOLS_TASKS_VOXEL_VAE_TASK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "models/vae/voxel_vae.h"
#include "tools/tasks/task.h"

namespace cubist {

// The network that a config describes.
VoxelVaeOptions VoxelVaeOptionsOf(const Experiment& experiment);

// `experiment` is validated and has a voxel_vae.
absl::StatusOr<std::unique_ptr<Task>> MakeVoxelVaeTask(const Experiment& experiment, at::ScalarType dtype,
                                                       at::Device device);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_VOXEL_VAE_TASK_H_
