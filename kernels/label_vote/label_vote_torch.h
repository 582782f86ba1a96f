// The class of each voxel by a vote of the points inside it, as tensors.
#ifndef CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_TORCH_H_
#define CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_TORCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {

// The most frequent class among each voxel's points, int64 [N]; ties go to the smallest class. A point that falls into
// no active voxel has no vote; a voxel without votes gets the smallest class among all points of its sample.
//   points: float32 [M, 3], metres, of samples by host_offsets.  labels: int32 [M] in [0, num_classes).
//   half_to_even: look points between two voxels up as the reference does (TieRounding::kHalfToEven); otherwise as
//   GridFromPoints does, and every voxel that it made has a vote.
// CPU; another device is a ConfigError. DataError: a label out of range, a point that is not finite, a sample with
// voxels but no points.
absl::StatusOr<at::Tensor> VoteLabels(const VoxelGrid& grid, const at::Tensor& points, const at::Tensor& labels,
                                      const std::vector<int64_t>& host_offsets, int64_t num_classes, bool half_to_even);

}  // namespace cubist

#endif  // CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_TORCH_H_
