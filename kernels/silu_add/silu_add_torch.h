// SiLU and the sum with another branch as one tensor operation, with gradients.
#ifndef CUBIST_KERNELS_SILU_ADD_SILU_ADD_TORCH_H_
#define CUBIST_KERNELS_SILU_ADD_SILU_ADD_TORCH_H_

#include "ATen/core/Tensor.h"

namespace cubist {

// x * sigmoid(x) + residual.
//   x, residual  [N, C] of one dtype, float32 or float64; on a GPU float32 or bfloat16
// Returns [N, C]; differentiable in both. All on one device (CPU or CUDA). Throws c10::Error on a wrong shape, dtype or
// device.
at::Tensor SiluAdd(const at::Tensor& x, const at::Tensor& residual);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SILU_ADD_SILU_ADD_TORCH_H_
