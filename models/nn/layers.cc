#include "models/nn/layers.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include "kernels/silu_add/silu_add_torch.h"

namespace cubist {
namespace {

constexpr double kNormEpsilon = 1e-5;

Initialization UniformByFanIn(int64_t fan_in) {
  return Initialization::Uniform(1.0 / std::sqrt(static_cast<double>(fan_in)));
}

GroupNormInputs InputsOf(const VoxelDomain& domain) {
  GroupNormInputs inputs;
  inputs.device_offsets = domain.device_offsets();
  return inputs;
}

}  // namespace

Linear::Linear(int64_t in_channels, int64_t out_channels)
    : weight_(RegisterParameter("weight", {out_channels, in_channels}, UniformByFanIn(in_channels))),
      bias_(RegisterParameter("bias", {out_channels}, UniformByFanIn(in_channels))) {}

at::Tensor Linear::Forward(const at::Tensor& x) const {
  return at::linear(x, weight_.to(x.scalar_type()), bias_.to(x.scalar_type()));
}

Embedding::Embedding(int64_t count, int64_t channels)
    : weight_(RegisterParameter("weight", {count, channels}, Initialization::Normal(1))) {}

at::Tensor Embedding::Forward(const at::Tensor& index) const { return at::embedding(weight_, index); }

GroupNormalization::GroupNormalization(int64_t channels, int64_t groups)
    : groups_(channels < groups ? 1 : groups),
      weight_(RegisterParameter("weight", {channels}, Initialization::Constant(1))),
      bias_(RegisterParameter("bias", {channels}, Initialization::Constant(0))) {}

at::Tensor GroupNormalization::Forward(const VoxelDomain& domain, const at::Tensor& x, GroupNormSilu silu) const {
  return GroupNorm(x, domain.offsets(), weight_, bias_, {groups_, kNormEpsilon, silu}, InputsOf(domain));
}

std::pair<at::Tensor, at::Tensor> GroupNormalization::ForwardAndInput(const VoxelDomain& domain,
                                                                      const at::Tensor& x) const {
  return GroupNormAndInput(x, domain.offsets(), weight_, bias_, {groups_, kNormEpsilon}, InputsOf(domain));
}

Convolution::Convolution(int64_t in_channels, int64_t out_channels, bool with_bias)
    : weight_(RegisterParameter("weight", {out_channels, in_channels, 3, 3, 3}, UniformByFanIn(27 * in_channels))) {
  if (with_bias) bias_ = RegisterParameter("bias", {out_channels}, UniformByFanIn(27 * in_channels));
}

at::Tensor Convolution::Forward(const VoxelDomain& domain, const at::Tensor& x) const {
  return domain.Convolve(x, weight_, bias_);
}

ConvolutionBlock::ConvolutionBlock(int64_t in_channels, int64_t out_channels, int64_t groups)
    : norm_(in_channels, groups), convolution_(in_channels, out_channels, /*with_bias=*/false) {
  RegisterModule("GroupNorm", norm_);
  RegisterModule("Conv", convolution_);
}

at::Tensor ConvolutionBlock::Forward(const VoxelDomain& domain, const at::Tensor& x, GroupNormSilu silu) const {
  return convolution_.Forward(domain, norm_.Forward(domain, x, silu));
}

std::pair<at::Tensor, at::Tensor> ConvolutionBlock::ForwardAndInput(const VoxelDomain& domain,
                                                                    const at::Tensor& x) const {
  auto [normalised, again] = norm_.ForwardAndInput(domain, x);
  return {convolution_.Forward(domain, normalised), std::move(again)};
}

ResidualBlock::ResidualBlock(int64_t in_channels, int64_t middle_channels, int64_t out_channels, int64_t groups)
    : first_(in_channels, middle_channels, groups), second_(middle_channels, out_channels, groups) {
  RegisterModule("conv1", first_);
  RegisterModule("conv2", second_);
  if (in_channels != out_channels) RegisterModule("skip_connection", skip_.emplace(in_channels, out_channels));
}

at::Tensor ResidualBlock::Forward(const VoxelDomain& domain, const at::Tensor& x) const {
  auto [h, skipped] = first_.ForwardAndInput(domain, x);
  h = second_.Forward(domain, h, GroupNormSilu::kOfInput);
  if (skip_.has_value()) skipped = skip_->Forward(skipped);
  return SiluAdd(h, skipped);
}

Head::Head(int64_t channels, int64_t out_channels, int64_t groups)
    : block_(channels, channels, groups), out_(channels, out_channels) {
  RegisterModule("SingleConv", block_);
  RegisterModule("OutConv", out_);
}

at::Tensor Head::Forward(const VoxelDomain& domain, const at::Tensor& x) const {
  // Widened before the last layer: rounded logits would tie.
  return out_.Forward(at::silu(block_.Forward(domain, x)).to(out_.dtype()));
}

}  // namespace cubist
