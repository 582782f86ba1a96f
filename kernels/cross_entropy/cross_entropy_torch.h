// Softmax cross entropy as a tensor operation, with its gradient.
#ifndef CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_TORCH_H_
#define CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_TORCH_H_

#include "ATen/core/Tensor.h"

namespace cubist {

// value[i] = -log(softmax(logits[i])[target[i]]), and 0 without a gradient where target[i] is -1. Differentiable in
// logits.
//   logits  [N, K], K > 0, float32 or float64; on a GPU float32 or bfloat16 and K at most 4096
//   target  [N] int64 in [-1, K)
// Returns [N] of the logits' dtype, on a GPU float32. All on one device (CPU or CUDA). Throws c10::Error on a wrong
// shape, dtype, device or, on the CPU, target; on a GPU, where nobody waits to look, a wrong target makes NaN.
at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& target);

}  // namespace cubist

#endif  // CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_TORCH_H_
