// What the Gaussian reconstruction model is given: the voxels of the scene, the images that it sees and those that it
// is compared with.
#ifndef CUBIST_TOOLS_TASKS_RECONSTRUCTION_BATCH_H_
#define CUBIST_TOOLS_TASKS_RECONSTRUCTION_BATCH_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/tasks/voxel_batch.h"

namespace cubist {

// n images of one sample and their cameras.
struct ImageBatch {
  at::Tensor images;          // uint8 [n,H,W,3], RGB
  at::Tensor is_sky;          // bool [n,H,W]; [0,H,W] without sky masks
  at::Tensor is_picture;      // bool [n,H,W]: not padding below a camera of less height
  at::Tensor depth;           // int32 [n,H,W], cm along the optical axis, 0: nothing was hit; [0,H,W] without depth
  at::Tensor camera_to_grid;  // float32 [n,4,4], OpenCV camera axes
  at::Tensor intrinsics;      // float32 [n,6]: fx, fy, cx, cy, width, height, px
};

struct ReconstructionBatch : VoxelBatch {
  std::vector<ImageBatch> input, supervision;  // a sample each

  std::string Describe() const override;
  std::vector<at::Tensor> Tensors() const override;
};

// `experiment` is validated and has a gaussian_reconstruction.
std::unique_ptr<BatchMaker> MakeReconstructionBatches(const Experiment& experiment, at::Device device);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_RECONSTRUCTION_BATCH_H_
