// Samples' points as one batch of labelled voxels: what every voxel model starts from.
#ifndef CUBIST_TOOLS_TASKS_VOXEL_BATCH_H_
#define CUBIST_TOOLS_TASKS_VOXEL_BATCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/scene_sample.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"
#include "tools/tasks/batch_maker.h"

namespace cubist {

struct VoxelBatch : TaskBatch {
  VoxelGrid grid;     // in each sample's grid frame; voxel (0, 0, 0) begins at its origin
  at::Tensor labels;  // int64 [N], class ids
  at::Tensor draws;   // int64 [B], the key of each sample's random numbers
  std::string clip;   // of the first sample
  int64_t start_frame = 0;

  // "2 samples: 71042 voxels".
  std::string Describe() const override;
  std::vector<at::Tensor> Tensors() const override;
};

// Fills `batch`, whose other fields are the caller's. A voxel holds the points inside it, and the centres of the voxels
// that a car mesh covers as points of class CAR; its class is that of most of them.
// Errors: DataErrors that name the first sample's clip and start frame.
absl::Status Voxelize(const std::vector<SceneSample>& samples, const Data& config, int num_semantic, at::Device device,
                      VoxelBatch& batch);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_VOXEL_BATCH_H_
