// Group normalisation of voxel features as a tensor operation, with gradients.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/group_norm/group_norm.h"

namespace cubist {

// What GroupNorm can take besides, each an undefined tensor if not; all on x's device.
struct GroupNormInputs {
  at::Tensor scale,
      shift;            // [B, C], gamma's dtype, both or neither: z * (1 + scale) + shift before SiLU; differentiable
  at::Tensor residual;  // [N, C], x's dtype: added after SiLU; differentiable

  // [B+1] int64: host_offsets on x's GPU, for which the operation would otherwise start a small kernel. Not looked at
  // on the CPU.
  at::Tensor device_offsets;
};

// Normalises each group of channels of each sample of x, or of SiLU of x, by its own mean and biased variance, applies
// the affine map, the modulation by scale and shift, SiLU if it is to be that of the output, and adds the residual
// (formulas: kernels/group_norm/group_norm.h). Differentiable in x, gamma, beta and where `inputs` says so. Always
// deterministic.
//   x             [N, C], rows of all samples one after the other; float32 or float64 on the CPU, float32 or bfloat16
//                 on a GPU
//   host_offsets  B+1 row offsets: 0 first, not descending, N last; a sample may have no rows
//   gamma, beta   [C], x's dtype on the CPU, float32 on a GPU
//   options       groups must divide C
// Returns [N, C]. All on one device. Throws c10::Error on a wrong shape, dtype, device, group
// count or offsets.
at::Tensor GroupNorm(const at::Tensor& x, const std::vector<int64_t>& host_offsets, const at::Tensor& gamma,
                     const at::Tensor& beta, const GroupNormOptions& options, const GroupNormInputs& inputs = {});

// The same, and x once more for its other uses, as a skip connection: their gradient is added to GroupNorm's own while
// that is written, instead of by an operation of its own over both.
std::pair<at::Tensor, at::Tensor> GroupNormAndInput(const at::Tensor& x, const std::vector<int64_t>& host_offsets,
                                                    const at::Tensor& gamma, const at::Tensor& beta,
                                                    const GroupNormOptions& options,
                                                    const GroupNormInputs& inputs = {});

}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_
