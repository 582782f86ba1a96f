// Questions to grids: rows of coordinates, cells of a dense volume, overlap of two grids.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LOOKUP_H_
#define CUBIST_KERNELS_VOXEL_GRID_LOOKUP_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/view.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// row[m] = row in the whole batch of query ijk int32 [M, 3], or -1. Queries [offsets[b], offsets[b+1]) ask sample b.
// InternalError when the offsets do not fit the queries and the grid's batch.
absl::Status LookupCpu(const VoxelGridView& grid, View<const int32_t, 2> ijk, const std::vector<int64_t>& host_offsets,
                       View<int64_t, 1> row);

// index[n] = index of voxel n in a flattened volume [B, X, Y, Z] whose first cell is ijk_min, or -1 outside of it.
void DenseIndexCpu(const VoxelGridView& grid, const std::array<int, 3>& ijk_min, const std::array<int, 3>& dims,
                   View<int64_t, 1> index);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LOOKUP_H_
