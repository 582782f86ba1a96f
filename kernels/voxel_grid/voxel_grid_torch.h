// Voxel grids as tensors: sets of integer coordinates per sample of a batch, in a fixed row order, with a leaf table
// for lookups. The operations choose their code by the device of their first argument, the CPU or a CUDA device, where
// all others must be too, else ConfigError naming operation and argument. Both give the same integers (but
// VoxelGrid::directory). On a GPU the host waits, once, in operations that make a grid (device_grid.h), and in no
// other.
//
// No gradients flow through anything here. Host offsets are [B+1], from 0, not falling; the rows of sample b are
// [offsets[b], offsets[b+1]). Rows ("row in the whole batch") count over all samples. A tensor of the wrong dtype,
// shape or device is an InternalError naming operation and argument; what is wrong with values is a DataError.
#ifndef CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_TORCH_H_
#define CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_TORCH_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/grid_transform.h"
#include "kernels/voxel_grid/voxel_grid.h"

namespace cubist {

// OK when the grid was built and lies on `device`; without one, on the CPU or on a CUDA device. `operation` is named
// otherwise. For operations on grids.
absl::Status CheckGrid(const VoxelGrid& grid, std::string_view operation,
                       std::optional<at::Device> device = std::nullopt);
// The same for operations that have code for the CPU only.
absl::Status CheckCpuGrid(const VoxelGrid& grid, std::string_view operation);

// The unique coordinates of ijk int32 [M, 3], whose rows belong to samples by host_offsets.
// DataError: a coordinate beyond kMaxCoordinate, or leaf boxes of more than kMaxDirectoryCells cells (extents named).
absl::StatusOr<VoxelGrid> GridFromIjk(const at::Tensor& ijk, const std::vector<int64_t>& host_offsets,
                                      const GridTransform& transform);

// The voxels that hold points float32 [M, 3] (metres), by VoxelsOfPoints with ties half up.
// DataError as in GridFromIjk, and for a point that is not finite.
absl::StatusOr<VoxelGrid> GridFromPoints(const at::Tensor& points, const std::vector<int64_t>& host_offsets,
                                         const GridTransform& transform);

struct DenseGrid {
  VoxelGrid grid;
  at::Tensor dense_index;  // int64 [N]: of each row, the index into the flattened [B*X*Y*Z] volume
};
// The true cells of mask bool [B, X, Y, Z]; cell (b, x, y, z) is voxel ijk_min + (x, y, z) of sample b.
absl::StatusOr<DenseGrid> GridFromDenseMask(const at::Tensor& mask, const std::array<int, 3>& ijk_min,
                                            const GridTransform& transform);

struct Coarsened {
  VoxelGrid grid;     // transform.Coarsened(factor)
  at::Tensor parent;  // int64 [N_fine]: row of the coarse voxel that each fine voxel lies in
};
// The voxels floor(ijk / factor). Factors are 1 or more, else InternalError.
absl::StatusOr<Coarsened> Coarsen(const VoxelGrid& grid, const std::array<int, 3>& factor);

struct Subdivided {
  VoxelGrid grid;     // transform.Subdivided(factor)
  at::Tensor parent;  // int64 [N_child]: row in `grid` of the voxel that each child is a part of
};
// The children factor*ijk + (a, b, c), 0 <= a,b,c < factor, of voxels whose mask bool [N] is true, in canonical order.
// Factor {1, 1, 1} prunes. DataError as in GridFromIjk when the children span too much.
absl::StatusOr<Subdivided> Subdivide(const VoxelGrid& grid, const std::array<int, 3>& factor, const at::Tensor& mask);

// For each query ijk int32 [M, 3], of samples by host_offsets (as many as the grid has): its row in the whole batch or
// -1, int64 [M].
absl::StatusOr<at::Tensor> Lookup(const VoxelGrid& grid, const at::Tensor& ijk,
                                  const std::vector<int64_t>& host_offsets);

// For each voxel its index into a flattened volume [B, X, Y, Z] with dims {X, Y, Z} whose cell (0, 0, 0) is voxel
// ijk_min, or -1 outside of it: int64 [N].
absl::StatusOr<at::Tensor> DenseIndex(const VoxelGrid& grid, const std::array<int, 3>& ijk_min,
                                      const std::array<int, 3>& dims);

// The 27 neighbours of each voxel: int32 [27, N]; tap (dx+1)*9 + (dy+1)*3 + (dz+1) holds the row in the whole batch of
// voxel ijk + (dx, dy, dz) of the same sample, or -1. Tap 13 is the voxel itself. Where `tap_mask` is given it is made
// int32 [N]: bit t says that tap t is not -1.
absl::StatusOr<at::Tensor> NeighborMap(const VoxelGrid& grid, at::Tensor* tap_mask = nullptr);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_TORCH_H_
