// Launchers of the submanifold 3x3x3 convolution on a GPU; sparse_conv.h says what is computed and in which order of
// taps. kernels/cuda/launch.h says what launchers have in common.
//
// Forward and gradient of the input are one kernel, output-stationary: a block owns a tile of rows, goes through the
// taps that any of its rows has, and adds x[map[t]] W_t in registers. They differ in the packed weights alone (W_t, or
// W_{26-t} transposed), which a small kernel makes of the parameter. Rows are read from global memory straight into the
// registers that the matrix instructions take; rows that are neighbours of each other meet in the first-level cache,
// which is why the order of rows decides the speed: they should come leaf by leaf (kernels/voxel_grid/leaf_table.h).
// The gradient of the weight is added up by warps (mma.sync) or warpgroups (wgmma) that own one tap, a range of rows
// and a block of channels; the ranges and the order in which their sums are added depend on the shape alone. So all
// results are the same in every run and on every card that takes the same path.
#ifndef CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_CUDA_H_
#define CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Number format of features and arithmetic; sums are float32 in all three.
enum class SparseConvMath {
  kBfloat16,  // features bfloat16, weights rounded to it
  kTf32,      // features float32; they and the weights are rounded to TF32
  kFloat32,   // features float32; each product is three of TF32 parts, each short sum is added in float32
};

// Who multiplies.
enum class SparseConvPath {
  kPortable,  // mma.sync: capability 8.0 and later, every math
  kHopper,    // wgmma: capability 9.0 alone, bfloat16 alone
};

// The faster path of the current device, kHopper when it has one.
SparseConvPath FastestSparseConvPath(SparseConvMath math);

// The same for the gradient of a weight, where few channels are faster by kPortable on any card. x has `inputs`, dY
// `outputs` channels.
SparseConvPath FastestSparseConvWeightGradientPath(SparseConvMath math, int64_t inputs, int64_t outputs);

// How packed weights lie in memory, for x of `inputs` and y of `outputs` channels (multiples of 8).
struct SparseConvWeights {
  SparseConvMath math = SparseConvMath::kBfloat16;
  SparseConvPath path = SparseConvPath::kPortable;
  int64_t inputs = 0;
  int64_t outputs = 0;

  int64_t Bytes() const;  // of the memory, which begins on 16 bytes
};

// weight [Co, Ci, 3, 3, 3] float32 in checkpoint order, any strides. For the forward, layout.inputs is Ci and
// layout.outputs Co rounded up to multiples of 8; for_gradient swaps them.
cudaError_t PackSparseConvWeightsCuda(View<const float, 5> weight, bool for_gradient, const SparseConvWeights& layout,
                                      void* packed, cudaStream_t stream);

// y = bias + sum_t x[map[t]] W_t, or dX of dY with weights packed for the gradient. x [N, layout.inputs] and y
// [N, layout.outputs] of elements of the layout's math, unit stride along channels, row strides multiples of 8 and
// pointers on 16 bytes; neighbor_map [27, N] dense; bias float32 [layout.outputs] or null; N < 2^31 - 1024.
template <typename T>
cudaError_t SparseConvCuda(View<const T, 2> x, const SparseConvWeights& layout, const void* packed,
                           View<const int32_t, 2> neighbor_map, const float* bias, View<T, 2> y, cudaStream_t stream);

// Bytes of workspace (on 16) that the gradient of a weight takes by a path.
int64_t SparseConvWeightGradientWorkspace(SparseConvMath math, SparseConvPath path, int64_t rows, int64_t inputs,
                                          int64_t outputs);

// dW_t = sum_p x[map[t][p]]^T dY[p], written to dweight [Co, Ci, 3, 3, 3] in checkpoint order, dense. x [N, inputs] and
// dY [N, outputs] as above, with inputs >= Ci and outputs >= Co multiples of 8.
template <typename T>
cudaError_t SparseConvWeightGradientCuda(SparseConvMath math, SparseConvPath path, View<const T, 2> x,
                                         View<const T, 2> dy, View<const int32_t, 2> neighbor_map, void* workspace,
                                         View<float, 5> dweight, cudaStream_t stream);

// Bytes of workspace (on 16) that the gradient of a bias takes.
int64_t SparseConvBiasGradientWorkspace(int64_t rows, int64_t outputs);

// db[o] = sum_p dY[p][o] in float32 to dbias [channels]; dY [N, >= channels] as above.
template <typename T>
cudaError_t SparseConvBiasGradientCuda(View<const T, 2> dy, void* workspace, View<float, 1> dbias, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_CUDA_H_
