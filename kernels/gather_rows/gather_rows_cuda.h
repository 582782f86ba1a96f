// gather_rows.h on a GPU, for float and __nv_bfloat16. Launchers as kernels/cuda/launch.h says; the same bits in every
// run.
#ifndef CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_CUDA_H_
#define CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"

namespace cubist {

// As GatherRowsForwardCpu. x, index and y dense. An entry outside [-1, M) counts as -1.
template <typename T>
cudaError_t GatherRowsForwardCuda(View<const T, 2> x, View<const int64_t, 1> index, View<T, 2> y, cudaStream_t stream);

// Bytes of device memory, aligned to 256, that GatherRowsBackwardCuda wants for `rows` rows of dy and `picked` of dx.
int64_t GatherRowsBackwardWorkspaceBytes(int64_t rows, int64_t picked, int64_t channels);

// As GatherRowsBackwardCpu, added up in float32: i ascending within pieces of a row's i, then the pieces. All dense.
template <typename T>
cudaError_t GatherRowsBackwardCuda(View<const T, 2> dy, View<const int64_t, 1> index, View<T, 2> dx, void* workspace,
                                   cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_CUDA_H_
