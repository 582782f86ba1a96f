#include "kernels/nearest_voxel/nearest_voxel_torch.h"

#include <ATen/ops/empty.h>

#include "base/status.h"
#include "kernels/nearest_voxel/nearest_voxel.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {

absl::StatusOr<at::Tensor> NearestVoxel(const VoxelGrid& reference, const VoxelGrid& query) {
  RETURN_IF_ERROR(CheckCpuGrid(reference, "NearestVoxel"));
  RETURN_IF_ERROR(CheckCpuGrid(query, "NearestVoxel"));
  at::Tensor nearest = at::empty({query.num_voxels()}, at::TensorOptions().dtype(at::kLong));
  RETURN_IF_ERROR(NearestVoxelCpu(reference.View(), query.View(), ViewOf<int64_t, 1>(nearest)));
  return nearest;
}

}  // namespace cubist
