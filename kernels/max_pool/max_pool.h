// Channelwise maximum over the fine voxels of each coarse voxel, and its gradient.
#ifndef CUBIST_KERNELS_MAX_POOL_MAX_POOL_H_
#define CUBIST_KERNELS_MAX_POOL_MAX_POOL_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// y[r][c] = max of x[i][c] over the i with parent[i] == r; among equals the smallest i wins (a later
// one must be strictly greater). A coarse row without fine rows gets 0. x [N, C]; parent [N] with
// entries in [-1, M), -1 for "in no coarse voxel"; writes y [M, C] and argmax [M, C], the winning i
// or -1. Unit stride along channels. The caller checks.
template <typename T>
void MaxPoolForwardCpu(View<const T, 2> x, View<const int64_t, 1> parent, View<T, 2> y, View<int64_t, 2> argmax);

// dx[argmax[r][c]][c] = dy[r][c], 0 elsewhere. dy and argmax [M, C]; dx [N, C] is written.
template <typename T>
void MaxPoolBackwardCpu(View<const T, 2> dy, View<const int64_t, 2> argmax, View<T, 2> dx);

}  // namespace cubist

#endif  // CUBIST_KERNELS_MAX_POOL_MAX_POOL_H_
