// Max pooling of sparse-voxel features as a tensor operation, with its gradient.
#ifndef CUBIST_KERNELS_MAX_POOL_MAX_POOL_TORCH_H_
#define CUBIST_KERNELS_MAX_POOL_MAX_POOL_TORCH_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace cubist {

// y[r][c] = max of x[i][c] over the i with parent[i] == r, 0 for a coarse row without fine rows.
// Differentiable in x: the gradient goes to the maximum, among equals to the one with the smallest i.
//   x       [N, C] float32 or float64; on a GPU float32 or bfloat16
//   parent  [N] int64: coarse row of each fine row, in [-1, num_coarse), -1 for none
// Returns [num_coarse, C]. All on one device (CPU or CUDA). Throws c10::Error on a wrong shape, dtype, device
// or, on the CPU, entry; on a GPU, where nobody waits to look, an entry outside [-1, num_coarse) counts as -1.
at::Tensor MaxPool(const at::Tensor& x, const at::Tensor& parent, int64_t num_coarse);

}  // namespace cubist

#endif  // CUBIST_KERNELS_MAX_POOL_MAX_POOL_TORCH_H_
