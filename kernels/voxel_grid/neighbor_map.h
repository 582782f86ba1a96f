// The 27 neighbours of every voxel: what submanifold 3x3x3 convolutions gather by.
#ifndef CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_H_
#define CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_H_

#include <cstdint>

#include "base/view.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// map int32 [27, N], dense: map(t, n) with t = (dx+1)*9 + (dy+1)*3 + (dz+1) = row in the whole batch of voxel
// ijk(n) + (dx, dy, dz) of the same sample, or -1. Symmetric: map(t, n) = m exactly when map(26-t, m) = n.
void NeighborMapCpu(const VoxelGridView& grid, View<int32_t, 2> map);

// mask[n], bits of a uint32: bit t says that map(t, n) is not -1.
void TapMaskCpu(View<const int32_t, 2> map, View<int32_t, 1> mask);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_H_
