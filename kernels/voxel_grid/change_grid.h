// Grids from grids: coarser, finer, pruned (fVDB's coarsened_grid and subdivided_grid).
#ifndef CUBIST_KERNELS_VOXEL_GRID_CHANGE_GRID_H_
#define CUBIST_KERNELS_VOXEL_GRID_CHANGE_GRID_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/view.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// A new grid and, for each of the finer grid's rows, the row above it in the coarser grid.
struct HostGridAndParents {
  HostVoxelGrid grid;
  HostTensor parent;  // int64 [rows of the finer grid]
};

// InternalError naming `what` unless factors are 1 or more.
absl::Status CheckFactor(const std::array<int, 3>& factor, std::string_view what);

// Voxels floor(ijk / factor); parent is of the given grid's rows. Factors are 1 or more, else InternalError.
absl::StatusOr<HostGridAndParents> CoarsenCpu(const VoxelGridView& grid, const std::array<int, 3>& factor);

// Children factor*ijk + (a, b, c), 0 <= a,b,c < factor, of the voxels whose keep [N] is true; parent is of the new
// grid's rows. Factor {1, 1, 1} prunes. InternalError: a factor below 1, keep of another length. DataError: children
// beyond kMaxCoordinate, a box of more than kMaxDirectoryCells, 2^31 voxels or more.
absl::StatusOr<HostGridAndParents> SubdivideCpu(const VoxelGridView& grid, const std::array<int, 3>& factor,
                                                View<const bool, 1> keep);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_CHANGE_GRID_H_
