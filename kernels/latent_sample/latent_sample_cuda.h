// latent_sample.h on a GPU, for features of float and __nv_bfloat16. Launchers as kernels/cuda/launch.h says; the same
// bits in every run.
#ifndef CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_CUDA_H_
#define CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_CUDA_H_

#include <cuda_runtime_api.h>

#include "base/view.h"

namespace cubist {

// As LatentSampleForwardCpu, in float32. All dense.
template <typename T>
cudaError_t LatentSampleForwardCuda(View<const T, 2> moments, View<const float, 2> noise, View<T, 2> z,
                                    View<float, 1> divergence, cudaStream_t stream);

// As LatentSampleBackwardCpu. All dense.
template <typename T>
cudaError_t LatentSampleBackwardCuda(View<const T, 2> moments, View<const float, 2> noise, View<const T, 2> dz,
                                     View<const float, 1> ddivergence, View<T, 2> dmoments, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_CUDA_H_
