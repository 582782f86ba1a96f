// The neighbour map on a GPU; what it means is in neighbor_map.h. Launchers as in kernels/cuda/launch.h.
#ifndef CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_CUDA_H_
#define CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"
#include "kernels/voxel_grid/leaf_table.h"
#include "kernels/voxel_grid/row_samples.h"

namespace cubist {

// map int32 [27, N] of voxels ijk int32 [N, 3], dense. tap_mask, null or [N]: bit t says that map(t, n) is not -1.
cudaError_t NeighborMapCuda(const LeafTableView& table, View<const int32_t, 2> ijk, RowSamples samples, int32_t* map,
                            uint32_t* tap_mask, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_NEIGHBOR_MAP_CUDA_H_
