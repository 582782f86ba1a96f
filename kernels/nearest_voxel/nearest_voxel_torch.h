// The nearest voxel of another grid, as tensors.
#ifndef CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_TORCH_H_
#define CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_TORCH_H_

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {

// For each voxel of `query` the row, in the whole batch, of the voxel of `reference` in the same sample whose centre is
// nearest in metres, int64 [N_query]; -1 where the sample of `reference` is empty. Ties go to the smallest row. Exact,
// see nearest_voxel.h. On the CPU or a CUDA device, with the same rows; ConfigError for others, and for two devices.
// InternalError when the batch sizes differ.
absl::StatusOr<at::Tensor> NearestVoxel(const VoxelGrid& reference, const VoxelGrid& query);

}  // namespace cubist

#endif  // CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_TORCH_H_
