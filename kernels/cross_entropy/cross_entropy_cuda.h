// cross_entropy.h on a GPU, for logits of float and __nv_bfloat16. Launchers as kernels/cuda/launch.h says; the same
// bits in every run.
#ifndef CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_CUDA_H_
#define CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"

namespace cubist {

// A row of more classes is not taken.
constexpr int64_t kCrossEntropyMaxClasses = 4096;

// As CrossEntropyForwardCpu, in float32. A target that is no class and not -1 gives NaN. All dense.
template <typename T>
cudaError_t CrossEntropyForwardCuda(View<const T, 2> logits, View<const int64_t, 1> target, View<float, 1> value,
                                    cudaStream_t stream);

// As CrossEntropyBackwardCpu. A target that is no class and not -1 gives NaN. All dense.
template <typename T>
cudaError_t CrossEntropyBackwardCuda(View<const T, 2> logits, View<const int64_t, 1> target,
                                     View<const float, 1> dvalue, View<T, 2> dlogits, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_CUDA_H_
