// What the voxel diffusion model is given: labelled voxels for the VAE, and the map and the cars that condition it.
#ifndef CUBIST_TOOLS_TASKS_VOXEL_DIFFUSION_BATCH_H_
#define CUBIST_TOOLS_TASKS_VOXEL_DIFFUSION_BATCH_H_

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/tasks/voxel_batch.h"

namespace cubist {

struct VoxelDiffusionBatch : VoxelBatch {
  // Map type -> for each sample float32 [K,3]: points in the grid frame, not cropped, K may be 0.
  std::map<std::string, std::vector<at::Tensor>> maps;
  // For each sample float32 [M,8,3]: corners of the cars that lie wholly inside, M may be 0.
  std::vector<at::Tensor> boxes;

  std::string Describe() const override;
  std::vector<at::Tensor> Tensors() const override;
};

// `experiment` is validated and has a voxel_diffusion.
std::unique_ptr<BatchMaker> MakeVoxelDiffusionBatches(const Experiment& experiment, at::Device device);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_VOXEL_DIFFUSION_BATCH_H_
