// Lookups on a GPU; what they mean is in lookup.h. Launchers as in kernels/cuda/launch.h.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LOOKUP_CUDA_H_
#define CUBIST_KERNELS_VOXEL_GRID_LOOKUP_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"
#include "kernels/voxel_grid/leaf_table.h"
#include "kernels/voxel_grid/row_samples.h"

namespace cubist {

// row [M] of queries ijk int32 [M, 3].
cudaError_t LookupCuda(const LeafTableView& table, View<const int32_t, 2> ijk, RowSamples samples, int64_t* row,
                       cudaStream_t stream);

// index [N] of voxels ijk int32 [N, 3] in volumes of `dims` cells that begin at ijk_min.
cudaError_t DenseIndexCuda(View<const int32_t, 2> ijk, RowSamples samples, const int ijk_min[3], const int dims[3],
                           int64_t* index, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LOOKUP_CUDA_H_
