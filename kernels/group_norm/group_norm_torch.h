// Group normalisation of sparse-voxel features as a tensor operation, with gradients.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"

namespace cubist {

// Normalises each group of channels of each sample by its own mean and biased variance, applies the
// affine map and, with `silu`, z * sigmoid(z) (formulas: kernels/group_norm/group_norm.h).
// Differentiable in x, gamma and beta.
//   x             [N, C] float32 or float64, rows of all samples one after the other
//   host_offsets  B+1 row offsets: 0 first, not descending, N last; a sample may have no rows
//   groups        divides C
//   gamma, beta   [C], x's dtype
// Returns [N, C]. All on one device (CPU). Throws c10::Error on a wrong shape, dtype, device, group
// count or offsets.
at::Tensor GroupNorm(const at::Tensor& x, const std::vector<int64_t>& host_offsets, int64_t groups,
                     const at::Tensor& gamma, const at::Tensor& beta, double epsilon = 1e-5, bool silu = false);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_TORCH_H_
