// max_pool.h on a GPU, for float and __nv_bfloat16. Launchers as kernels/cuda/launch.h says; the same bits in every
// run.
#ifndef CUBIST_KERNELS_MAX_POOL_MAX_POOL_CUDA_H_
#define CUBIST_KERNELS_MAX_POOL_MAX_POOL_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Bytes of device memory, aligned to 256, that MaxPoolForwardCuda wants; 0 for more rows than 2^31 - 2, which it does
// not take.
int64_t MaxPoolWorkspaceBytes(int64_t fine_rows, int64_t coarse_rows);

// As MaxPoolForwardCpu. All dense.
template <typename T>
cudaError_t MaxPoolForwardCuda(View<const T, 2> x, View<const int64_t, 1> parent, View<T, 2> y, View<int32_t, 2> argmax,
                               void* workspace, cudaStream_t stream);

// As MaxPoolBackwardCpu, with the parents that led to argmax. All dense.
template <typename T>
cudaError_t MaxPoolBackwardCuda(View<const T, 2> dy, View<const int32_t, 2> argmax, View<const int64_t, 1> parent,
                                View<T, 2> dx, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_MAX_POOL_MAX_POOL_CUDA_H_
