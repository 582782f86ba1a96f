// Rows of a feature array picked by an index, and the gradient: subdividing, pruning, aligning and
// densifying sparse voxels are all this operation with different indices.
#ifndef CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_H_
#define CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// y[i] = x[index[i]], or zeros where index[i] is -1. x [M, C], index [N] with entries in [-1, M),
// y [N, C] written. Unit stride along channels. The caller checks.
template <typename T>
void GatherRowsForwardCpu(View<const T, 2> x, View<const int64_t, 1> index, View<T, 2> y);

// dx[r] = sum of dy[i] over the i with index[i] == r, i ascending. dy [N, C]; dx [M, C] is written.
template <typename T>
void GatherRowsBackwardCpu(View<const T, 2> dy, View<const int64_t, 1> index, View<T, 2> dx);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_GATHER_ROWS_H_
