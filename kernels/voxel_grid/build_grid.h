// Grids from coordinates, points and dense masks (fVDB's gridbatch_from_ijk, _from_points and _from_dense).
#ifndef CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_H_
#define CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/view.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// Rows of sample b are [host_offsets[b], host_offsets[b+1]); offsets that do not fit are an InternalError.

// The unique coordinates of ijk int32 [M, 3].
// DataError: a coordinate beyond kMaxCoordinate, or leaf boxes of more than kMaxDirectoryCells cells.
absl::StatusOr<HostVoxelGrid> GridFromIjkCpu(View<const int32_t, 2> ijk, const std::vector<int64_t>& host_offsets,
                                             const GridTransform& transform);

// The voxels of points float32 [M, 3], metres, ties half up. DataError as above and for points that are not finite.
absl::StatusOr<HostVoxelGrid> GridFromPointsCpu(View<const float, 2> points, const std::vector<int64_t>& host_offsets,
                                                const GridTransform& transform);

// The true cells of mask [B, X, Y, Z]; cell (b, x, y, z) is voxel ijk_min + (x, y, z) of sample b. All cells true is
// gridbatch_from_dense. Errors as above.
absl::StatusOr<HostVoxelGrid> GridFromDenseMaskCpu(View<const bool, 4> mask, const std::array<int, 3>& ijk_min,
                                                   const GridTransform& transform);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_H_
