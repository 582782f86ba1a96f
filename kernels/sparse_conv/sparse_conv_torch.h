// Submanifold 3x3x3 convolution of tensors, with gradients.
#ifndef CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_TORCH_H_
#define CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_TORCH_H_

#include <optional>

#include "ATen/core/Tensor.h"

namespace cubist {

// y = conv(x) + bias over the active voxels; absent neighbours count as zero. Differentiable in x, weight and bias.
//   x             [N, Ci], N >= 0: on the CPU float32 or float64; on a GPU bfloat16, or float32, which is computed with
//                 float32's accuracy, its gradients in TF32 if at::globalContext().allowTF32CuDNN()
//   weight        [Co, Ci, 3, 3, 3], on the CPU of x's dtype, on a GPU float32, in the axis order of the reference's
//                 checkpoints: K0 along z, K1 along y, K2 along x (kernels/sparse_conv/sparse_conv.h)
//   neighbor_map  [27, N] int32: row of the neighbour at tap t = (dx+1)*9 + (dy+1)*3 + (dz+1), -1 for none; symmetric
//   bias          [Co], weight's dtype, or none
// Returns [N, Co] of x's dtype; gradients are of the dtype of what they belong to. All on one device. Sums are in
// float32 on a GPU. Results are the same in every run. Throws c10::Error on a wrong shape, dtype or device; entries of
// the map outside [-1, N) are an error too, which on a GPU is not looked for.
at::Tensor SparseConv3d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& neighbor_map,
                        const std::optional<at::Tensor>& bias = std::nullopt);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_SPARSE_CONV_TORCH_H_
