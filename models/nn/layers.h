// Building blocks of the voxel networks, with the reference's parameter names and initialisation.
// All of them take and return rows of features [N, C] over a VoxelDomain, on the parameters' device. Features are of
// the parameters' dtype or, on a GPU, bfloat16 over float32 parameters, whose gradients are then float32 as well.
// Anything else throws c10::Error.
#ifndef CUBIST_MODELS_NN_LAYERS_H_
#define CUBIST_MODELS_NN_LAYERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "kernels/group_norm/group_norm_torch.h"
#include "models/nn/module.h"
#include "models/nn/voxel_domain.h"

namespace cubist {

// Rows times a matrix: y = x W^T + b, weight [out, in], bias [out], both uniform in +-1/sqrt(in). Also a 1x1x1
// convolution.
class Linear : public Module {
 public:
  Linear(int64_t in_channels, int64_t out_channels);
  at::Tensor Forward(const at::Tensor& x) const;
  // Of the parameters.
  at::ScalarType dtype() const { return weight_.scalar_type(); }

 private:
  at::Tensor weight_, bias_;
};

// A row of `weight` [count, channels] for each index; weights start as N(0, 1).
class Embedding : public Module {
 public:
  Embedding(int64_t count, int64_t channels);
  // `index`: int64 [N]. Returns [N, channels].
  at::Tensor Forward(const at::Tensor& index) const;

 private:
  at::Tensor weight_;
};

// Group normalisation with statistics over each sample's rows; epsilon 1e-5. One group where there
// are fewer channels than groups.
class GroupNormalization : public Module {
 public:
  GroupNormalization(int64_t channels, int64_t groups);
  at::Tensor Forward(const VoxelDomain& domain, const at::Tensor& x, GroupNormSilu silu = GroupNormSilu::kNone) const;
  // The same, and x for its other uses (GroupNormAndInput).
  std::pair<at::Tensor, at::Tensor> ForwardAndInput(const VoxelDomain& domain, const at::Tensor& x) const;

 private:
  int64_t groups_;
  at::Tensor weight_, bias_;
};

// 3x3x3 convolution, weight [out, in, 3, 3, 3] in the checkpoint's axis order, uniform in
// +-1/sqrt(27 in), and so the bias.
class Convolution : public Module {
 public:
  Convolution(int64_t in_channels, int64_t out_channels, bool with_bias);
  at::Tensor Forward(const VoxelDomain& domain, const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

// Group normalisation and a convolution without bias: what precedes SiLU in the order "gcs". SiLU is left to whatever
// takes the result, since it costs nothing as part of another operation.
class ConvolutionBlock : public Module {
 public:
  ConvolutionBlock(int64_t in_channels, int64_t out_channels, int64_t groups);
  at::Tensor Forward(const VoxelDomain& domain, const at::Tensor& x, GroupNormSilu silu = GroupNormSilu::kNone) const;
  // The same, and x for its other uses (GroupNormAndInput).
  std::pair<at::Tensor, at::Tensor> ForwardAndInput(const VoxelDomain& domain, const at::Tensor& x) const;

 private:
  GroupNormalization norm_;
  Convolution convolution_;
};

// Two blocks with SiLU plus a skip connection (1x1x1 with bias where the channel count changes).
class ResidualBlock : public Module {
 public:
  ResidualBlock(int64_t in_channels, int64_t middle_channels, int64_t out_channels, int64_t groups);
  at::Tensor Forward(const VoxelDomain& domain, const at::Tensor& x) const;

 private:
  ConvolutionBlock first_, second_;
  std::optional<Linear> skip_;
};

// A block with SiLU and a 1x1x1 convolution to logits, which are of the parameters' dtype whatever that of the
// features.
class Head : public Module {
 public:
  Head(int64_t channels, int64_t out_channels, int64_t groups);
  at::Tensor Forward(const VoxelDomain& domain, const at::Tensor& x) const;

 private:
  ConvolutionBlock block_;
  Linear out_;
};

}  // namespace cubist

#endif  // CUBIST_MODELS_NN_LAYERS_H_
