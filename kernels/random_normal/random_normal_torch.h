// Tensors of random numbers from the counter-based generator of base/philox.h.
#ifndef CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_TORCH_H_
#define CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_TORCH_H_

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "base/philox.h"

namespace cubist {

// A tensor [B, ...] of standard normal numbers: element i (row-major) of sample b is the normal of
// key (seed, purpose) and counter (draws[b], i), whatever the batch around it is.
//   shape  [B, ...], B = draws.size(0)
//   draws  int64 [B], each at least 0, on the device where the result shall be (CPU or CUDA)
//   dtype  at::kFloat or, on the CPU, at::kDouble
// A GPU gives the same numbers but for the last bit of a few normal ones (kernels/random_normal/random_normal_cuda.h).
// Not differentiable. Throws c10::Error on a wrong shape, dtype or device.
at::Tensor RandomNormal(at::IntArrayRef shape, uint32_t seed, RandomPurpose purpose, const at::Tensor& draws,
                        at::ScalarType dtype = at::kFloat);

// Fills `tensor` (contiguous, float32 or on the CPU float64) with numbers uniform in [-bound, bound). Purpose
// kParameterInit; n tells one parameter from another (for instance its place in the parameter list).
// Written in place without autograd noticing: for parameters before the first step.
void FillUniform(const at::Tensor& tensor, uint32_t seed, uint64_t n, double bound);

// As FillUniform, with normal numbers of mean 0 and the given standard deviation.
void FillNormal(const at::Tensor& tensor, uint32_t seed, uint64_t n, double standard_deviation);

}  // namespace cubist

#endif  // CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_TORCH_H_
