// The optimizer of adamw.h on a GPU, over float32 arrays. Launchers as kernels/cuda/launch.h says.
//
// All results are the same from run to run and from card to card: element-wise arithmetic is done without fused
// multiply-add, as on the host, and sums are added in an order that depends on the number of elements alone.
#ifndef CUBIST_KERNELS_ADAMW_ADAMW_CUDA_H_
#define CUBIST_KERNELS_ADAMW_ADAMW_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/adamw/adamw.h"

namespace cubist {

// Bytes of device memory, aligned to 16, that GradientFiniteAndNormCuda and AdamwStepCuda want as `workspace`.
size_t GradientNormWorkspaceBytes();
size_t AdamwStepWorkspaceBytes();

// As GradientFiniteAndNormCpu; norm (float or double) and finite lie on the device.
template <typename Norm>
cudaError_t GradientFiniteAndNormCuda(View<const float, 1> gradient, Norm* norm, bool* finite, void* workspace,
                                      cudaStream_t stream);

cudaError_t ClampGradientCuda(View<float, 1> gradient, double limit, cudaStream_t stream);

// factor lies on the device.
cudaError_t ScaleGradientCuda(View<float, 1> gradient, const double* factor, cudaStream_t stream);

// As AdamwStepCpu, in one pass over the arrays; step and predicate lie on the device.
cudaError_t AdamwStepCuda(const AdamwArrays<float>& arrays, int64_t* step, const bool* predicate,
                          const AdamwOptions& options, const LearningRateSchedule& schedule, double ema_decay,
                          void* workspace, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_ADAMW_ADAMW_CUDA_H_
