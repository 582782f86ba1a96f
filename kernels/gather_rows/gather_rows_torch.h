// Rows of a feature tensor picked by an index, with a deterministic gradient.
#ifndef CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_
#define CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_

#include "ATen/core/Tensor.h"

namespace cubist {

// y[i] = x[index[i]], or a zero row where index[i] is -1. Differentiable in x: dx[r] is the sum of
// dy[i] over the i with index[i] == r, i ascending.
//   x      [M, C] float32 or float64
//   index  [N] int64, entries in [-1, M); any row may be picked any number of times
// Returns [N, C]. All on one device (CPU). Throws c10::Error on a wrong shape, dtype, device or entry.
at::Tensor GatherRows(const at::Tensor& x, const at::Tensor& index);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_TORCH_H_
