// The group normalisation of group_norm.h on a GPU, over features T (float or __nv_bfloat16) with parameters,
// statistics and sums in float32. Launchers as kernels/cuda/launch.h says; arrays are dense, in the device's memory.
//
// All results are the same from run to run and from card to card: sums are added in an order that depends on the shapes
// and offsets alone.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_CUDA_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstddef>

#include "base/view.h"
#include "kernels/group_norm/group_norm.h"

namespace cubist {

// The same B+1 offsets twice: on the host for the number of blocks to start, on the device for the blocks.
struct GroupNormOffsets {
  View<const int64_t, 1> host;
  const int64_t* device = nullptr;
};

// Writes host offsets to `device`, [B+1]. They travel as arguments of kernels: nothing has to outlive the call.
cudaError_t CopyGroupNormOffsetsCuda(View<const int64_t, 1> host, int64_t* device, cudaStream_t stream);

// gamma and beta [C]; scale and shift [B, C] with unit stride along channels, or without data.
struct GroupNormParameters {
  const float* gamma = nullptr;
  const float* beta = nullptr;
  GroupNormModulation<float> modulation;
};

struct GroupNormParameterGradients {
  float* dgamma = nullptr;  // [C]
  float* dbeta = nullptr;
  float* dscale = nullptr;  // [B, C]; written exactly where there is a modulation
  float* dshift = nullptr;
};

// Bytes of device memory, aligned to 16, that GroupNormStatisticsCuda and GroupNormBackwardCuda want as `workspace`.
size_t GroupNormWorkspaceBytes(View<const int64_t, 1> host_offsets, int64_t channels, int64_t groups);

// As GroupNormStatisticsCpu; mean and reciprocal_std [B, groups].
template <typename T>
cudaError_t GroupNormStatisticsCuda(View<const T, 2> x, const GroupNormOffsets& offsets,
                                    const GroupNormOptions& options, float* mean, float* reciprocal_std,
                                    void* workspace, cudaStream_t stream);

// As GroupNormApplyCpu; residual may be null. y may be x or residual.
template <typename T>
cudaError_t GroupNormApplyCuda(View<const T, 2> x, const GroupNormOffsets& offsets,
                               const GroupNormParameters& parameters, const GroupNormOptions& options,
                               const float* mean, const float* reciprocal_std, const T* residual, T* y,
                               cudaStream_t stream);

// As GroupNormBackwardCpu; the addend may be null; dx may be dy, x or the addend.
template <typename T>
cudaError_t GroupNormBackwardCuda(const T* dy, View<const T, 2> x, const GroupNormOffsets& offsets,
                                  const GroupNormParameters& parameters, const GroupNormOptions& options,
                                  const float* mean, const float* reciprocal_std, const T* addend, T* dx,
                                  const GroupNormParameterGradients& gradients, void* workspace, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_CUDA_H_
