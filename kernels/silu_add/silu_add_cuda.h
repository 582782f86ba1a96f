// silu_add.h on a GPU, for features of float and __nv_bfloat16, worked out in float32. Launchers as
// kernels/cuda/launch.h says; the same bits in every run.
#ifndef CUBIST_KERNELS_SILU_ADD_SILU_ADD_CUDA_H_
#define CUBIST_KERNELS_SILU_ADD_SILU_ADD_CUDA_H_

#include <cuda_runtime_api.h>

#include "base/view.h"

namespace cubist {

// As SiluAddForwardCpu; y may be x or the residual.
template <typename T>
cudaError_t SiluAddForwardCuda(View<const T, 1> x, View<const T, 1> residual, View<T, 1> y, cudaStream_t stream);

// As SiluAddBackwardCpu; dx may be x or dy.
template <typename T>
cudaError_t SiluAddBackwardCuda(View<const T, 1> x, View<const T, 1> dy, View<T, 1> dx, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SILU_ADD_SILU_ADD_CUDA_H_
