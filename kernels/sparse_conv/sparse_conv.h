// Submanifold 3x3x3 convolution over the rows of sparse voxels, and its gradients.
//
//   y[p] = bias + sum_t x[map[t][p]] W_t,   t = 0..26,   W_t of shape [Ci, Co]
//
// Tap t = (dx+1)*9 + (dy+1)*3 + (dz+1) stands for the neighbour at offset (dx, dy, dz); map[t][p] is
// the row of that neighbour of row p, or -1 when it is no voxel, which then counts as zero. The map
// is symmetric: map[t][p] = q exactly when map[26-t][q] = p.
//
// Every sum runs over taps in ascending order and channels ascending within a tap; sums over rows
// run over fixed chunks of rows. So results do not depend on the number of threads.
#ifndef CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_H_
#define CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

inline constexpr int kConvTaps = 27;

// The tap of a weight's spatial indices. A parameter has the axis order of the reference's
// checkpoints, [Co, Ci, K0, K1, K2] with K0 along z, K1 along y and K2 along x (fVDB 0.2.0).
constexpr int ConvTap(int k0_z, int k1_y, int k2_x) { return k2_x * 9 + k1_y * 3 + k0_z; }

// A convolution forward. x [N, Ci], weight [Co, Ci, 3, 3, 3] in checkpoint order, neighbor_map
// [27, N], bias [Co] or null, y [N, Co] written. x and y have unit stride along channels; the rest
// may have any strides. Extents must agree and map entries lie in [-1, N): the caller checks.
template <typename T>
void SparseConvForwardCpu(View<const T, 2> x, View<const T, 5> weight, View<const int32_t, 2> neighbor_map,
                          const T* bias, View<T, 2> y);

// dX[q] = sum_t dY[map[26-t][q]] W_t^T. Shapes as above; dx [N, Ci] is written.
template <typename T>
void SparseConvInputGradientCpu(View<const T, 2> dy, View<const T, 5> weight, View<const int32_t, 2> neighbor_map,
                                View<T, 2> dx);

// dW_t = sum_p x[map[t][p]]^T dY[p], written to dweight [Co, Ci, 3, 3, 3] in checkpoint order.
template <typename T>
void SparseConvWeightGradientCpu(View<const T, 2> x, View<const T, 2> dy, View<const int32_t, 2> neighbor_map,
                                 View<T, 5> dweight);

// db[o] = sum_p dY[p][o], added up in double, written to dbias [Co].
template <typename T>
void SparseConvBiasGradientCpu(View<const T, 2> dy, T* dbias);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_H_
