// The latent of a variational autoencoder as a tensor operation, with its gradient.
#ifndef CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_TORCH_H_
#define CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_TORCH_H_

#include <optional>
#include <utility>

#include "ATen/core/Tensor.h"

namespace cubist {

// Mean and logarithm of the variance stand beside each other: mu = moments[:, 0 .. C), l = moments[:, C .. 2C).
//   moments  [M, 2C] float32 or float64; on a GPU float32 or bfloat16
//   noise    [M, C] standard normal numbers of the moments' dtype, on a GPU float32; none: the sample is the mean
// Returns z = mu + exp(l / 2) * noise, [M, C] of the moments' dtype, and the divergence from the standard normal
// distribution, 0.5 * sum over channels of (exp(l) + mu^2 - 1 - l), [M] of the moments' dtype, on a GPU float32. Both
// are differentiable in moments. All on one device (CPU or CUDA). Throws c10::Error on a wrong shape, dtype or device.
std::pair<at::Tensor, at::Tensor> LatentSample(const at::Tensor& moments, const std::optional<at::Tensor>& noise);

}  // namespace cubist

#endif  // CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_TORCH_H_
