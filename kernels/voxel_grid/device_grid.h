// The operations of voxel_grid_torch.h that make or ask grids, for tensors on a CUDA device. Devices, dtypes and shapes
// of arguments have been checked; c10::Error is thrown for what CUDA reports.
//
// Making a grid, the host waits once, for an event behind an asynchronous copy of one small array into pinned memory:
// the samples' offsets, the boxes, the number of leaves and the error flags. It waits again, once or twice, only where
// its guesses of kGuessedCells and kGuessedLeaves were too small. Nothing else here waits.
#ifndef CUBIST_KERNELS_VOXEL_GRID_DEVICE_GRID_H_
#define CUBIST_KERNELS_VOXEL_GRID_DEVICE_GRID_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/voxel_grid.h"

namespace cubist {

// A directory of 4 MiB, and the leaves of millions of voxels on surfaces.
inline constexpr int64_t kGuessedCells = int64_t{1} << 20;
inline constexpr int64_t kGuessedLeaves = int64_t{1} << 17;

absl::StatusOr<VoxelGrid> DeviceGridFromIjk(const at::Tensor& ijk, const std::vector<int64_t>& host_offsets,
                                            const GridTransform& transform);
absl::StatusOr<VoxelGrid> DeviceGridFromPoints(const at::Tensor& points, const std::vector<int64_t>& host_offsets,
                                               const GridTransform& transform);
absl::StatusOr<VoxelGrid> DeviceGridFromDenseMask(const at::Tensor& mask, const std::array<int, 3>& ijk_min,
                                                  const GridTransform& transform);
// The grid and parent [N_fine], or parent [N_child].
absl::StatusOr<std::pair<VoxelGrid, at::Tensor>> DeviceCoarsen(const VoxelGrid& grid, const std::array<int, 3>& factor);
absl::StatusOr<std::pair<VoxelGrid, at::Tensor>> DeviceSubdivide(const VoxelGrid& grid,
                                                                 const std::array<int, 3>& factor,
                                                                 const at::Tensor& keep);
absl::StatusOr<at::Tensor> DeviceLookup(const VoxelGrid& grid, const at::Tensor& ijk,
                                        const std::vector<int64_t>& host_offsets);
at::Tensor DeviceDenseIndex(const VoxelGrid& grid, const std::array<int, 3>& ijk_min, const std::array<int, 3>& dims);
// tap_mask: null, or made int32 [N].
at::Tensor DeviceNeighborMap(const VoxelGrid& grid, at::Tensor* tap_mask);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_DEVICE_GRID_H_
