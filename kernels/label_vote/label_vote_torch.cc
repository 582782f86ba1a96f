#include "kernels/label_vote/label_vote_torch.h"

#include <ATen/ops/empty.h>

#include "base/status.h"
#include "kernels/label_vote/label_vote.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/tensor_bridge.h"

namespace cubist {

absl::StatusOr<at::Tensor> VoteLabels(const VoxelGrid& grid, const at::Tensor& points, const at::Tensor& labels,
                                      const std::vector<int64_t>& host_offsets, int64_t num_classes,
                                      bool half_to_even) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "VoteLabels"));
  RETURN_IF_ERROR(CheckCpuTensor(points, "VoteLabels", "points", at::kFloat, {-1, 3}));
  RETURN_IF_ERROR(CheckCpuTensor(labels, "VoteLabels", "labels", at::kInt, {points.size(0)}));
  at::Tensor voted = at::empty({grid.num_voxels()}, at::TensorOptions().dtype(at::kLong));
  RETURN_IF_ERROR(VoteLabelsCpu(
      grid.View(), ViewOf<const float, 2>(points), ViewOf<const int32_t, 1>(labels), host_offsets, num_classes,
      half_to_even ? TieRounding::kHalfToEven : TieRounding::kHalfUp, ViewOf<int64_t, 1>(voted)));
  return voted;
}

}  // namespace cubist
