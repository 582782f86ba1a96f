// Losses and metrics of the voxel VAE, with the reference's log names.
#ifndef CUBIST_MODELS_VAE_VOXEL_VAE_LOSS_H_
#define CUBIST_MODELS_VAE_VOXEL_VAE_LOSS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "models/nn/metric_table.h"
#include "models/vae/voxel_vae.h"

namespace cubist {

struct VoxelVaeLossOptions {
  double structure_weight = 20;
  double semantic_weight = 20;
  double kl_weight = 0.03;
  // Class weight of "occupied": candidates over occupied candidates, clamped to [1, 100].
  bool adaptive_structure_weight = false;
  // Average every term over all voxels of the batch, as the reference does, and not over each
  // sample's own voxels first.
  bool batch_mean_over_voxels = false;
};

struct VoxelVaeLoss {
  at::Tensor total;  // scalar of the parameters' dtype: the sum over samples of their losses, with gradient
  // They take a device few cycles and a host many: best asked for once the device has backward() to do.
  std::function<MetricTable()> metrics;
};

// Terms, each the mean over a sample's own voxels or cells; a term without voxels is 0:
//   struct-l    cross entropy of occupied or empty over the candidates of level l, against the
//               ground truth coarsened to level l
//   semantic_-1 cross entropy of the class of every predicted voxel, against the label of the nearest
//               ground-truth voxel centre of the same sample
//   kld         -0.5 sum over channels of (1 + logvar - mu^2 - exp(logvar)), mean over cells
// Metrics: struct-acc, iou, precision and recall of each level (recall counts what lies under pruned
// parents), candidates, accuracy and mean IoU of classes on matched voxels.
//   truth   where a sample has predicted voxels, at least one
//   labels  int64 [N] of truth's level 0, classes in [0, num_semantic). All on one device.
// Errors: those of the grid operations (a status); tensors of a wrong shape or dtype throw c10::Error.
absl::StatusOr<VoxelVaeLoss> ComputeVoxelVaeLoss(const VoxelVaeLossOptions& options, const VoxelPyramid& truth,
                                                 const at::Tensor& labels, const Latent& latent,
                                                 const Reconstruction& reconstruction);

}  // namespace cubist

#endif  // CUBIST_MODELS_VAE_VOXEL_VAE_LOSS_H_
