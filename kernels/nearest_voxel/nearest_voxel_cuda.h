// The nearest voxel of another grid on a GPU; what it means is in nearest_voxel.h, with the same rounding, so that the
// rows are the host's for any two lattices. Launchers as in kernels/cuda/launch.h.
#ifndef CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_CUDA_H_
#define CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/nearest_voxel/lattices.h"
#include "kernels/voxel_grid/leaf_table.h"

namespace cubist {

// nearest int64 [N_query], rows of the reference in the whole batch. reference_offsets: int64 [B+1] on the device.
// workspace: uint32 [leaves of the reference].
cudaError_t NearestVoxelCuda(const LeafTableView& reference, const int64_t* reference_offsets,
                             const LeafTableView& query, const Lattices& lattices, uint32_t* workspace,
                             int64_t* nearest, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_CUDA_H_
