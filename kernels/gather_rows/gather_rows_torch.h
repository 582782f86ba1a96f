// Rows of a feature tensor picked by an index, with a deterministic gradient.
#ifndef CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_
#define CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_

#include "ATen/core/Tensor.h"

namespace cubist {

// y[i] = x[index[i]], or a zero row where index[i] is -1. Differentiable in x: dx[r] is the sum of
// dy[i] over the i with index[i] == r, i ascending (on a GPU, of more than 128 such i, by pieces).
//   x      [M, C] float32 or float64; on a GPU float32 or bfloat16, whose gradient is added up in float32
//   index  [N] int64, entries in [-1, M); any row may be picked any number of times
// Returns [N, C]. All on one device (CPU or CUDA). Throws c10::Error on a wrong shape, dtype, device or, on the CPU,
// entry; on a GPU, where nobody waits to look, an entry outside [-1, M) counts as -1. Both give the same in every run.
at::Tensor GatherRows(const at::Tensor& x, const at::Tensor& index);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_
