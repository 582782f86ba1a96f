// The blocks against compositions of LibTorch's operations, values and gradients in double, dense and sparse.
#include "models/nn/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

constexpr int64_t kGroups = 2;

// Two boxes of 5 x 4 x 3 cells; or most of one and a bit of another as a sparse grid.
std::vector<VoxelDomain> Domains() {
  std::vector<VoxelDomain> domains = {VoxelDomain(2, {5, 4, 3})};
  const at::Tensor all = at::arange(43, at::kInt);
  const at::Tensor ijk =
      at::stack({all.div(6, "floor"), all.div(2, "floor").remainder(3), all.remainder(2)}, 1).to(at::kInt);
  domains.push_back(*VoxelDomain::Sparse(*GridFromIjk(ijk, {0, 40, 40, 43}, GridTransform())));
  return domains;
}

class LayersTest : public ::testing::Test {
 protected:
  // Double parameters that nothing is special about, norms' too.
  void Prepare(const Module& module) {
    uint32_t seed = 10;
    for (const Parameter& parameter : module.Parameters()) {
      const at::Tensor values = TensorOf(TestNumbers<double>(parameter.value.numel(), ++seed), parameter.value.sizes());
      parameter.value.set_data(parameter.name.find("GroupNorm.weight") != std::string::npos ? values + 1.5 : values);
      names_.push_back(parameter.name);
      parameters_[parameter.name] = parameter.value;
    }
  }

  at::Tensor Normalise(const VoxelDomain& domain, const at::Tensor& x, const std::string& name) const {
    std::vector<at::Tensor> parts;
    for (int64_t b = 0; b < domain.batch_size(); ++b) {
      const int64_t rows = domain.offsets()[b + 1] - domain.offsets()[b];
      if (rows == 0) continue;
      const at::Tensor part = x.narrow(0, domain.offsets()[b], rows).t().unsqueeze(0);
      parts.push_back(at::group_norm(part, kGroups, parameters_.at(name + ".weight"), parameters_.at(name + ".bias"),
                                     1e-5, /*cudnn_enabled=*/false)
                          .squeeze(0)
                          .t());
    }
    return at::cat(parts);
  }

  at::Tensor Block(const VoxelDomain& domain, const at::Tensor& x, const std::string& name) const {
    return at::silu(domain.Convolve(Normalise(domain, x, name + ".GroupNorm"), parameters_.at(name + ".Conv.weight"),
                                    at::Tensor()));
  }

  at::Tensor Pointwise(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, parameters_.at(name + ".weight"), parameters_.at(name + ".bias"));
  }

  // Values and the gradients of x and all parameters.
  void ExpectSame(const at::Tensor& got, const at::Tensor& wanted, const at::Tensor& x) const {
    ASSERT_EQ(got.sizes(), wanted.sizes());
    EXPECT_LT((got - wanted).abs().max().item<double>(), 1e-11);
    std::vector<at::Tensor> leaves = {x};
    for (const std::string& name : names_) leaves.push_back(parameters_.at(name));
    const at::Tensor u = TensorOf(TestNumbers<double>(got.numel(), 5), got.sizes());
    const std::vector<at::Tensor> ours = torch::autograd::grad({got}, leaves, {u});
    const std::vector<at::Tensor> theirs = torch::autograd::grad({wanted}, leaves, {u});
    for (size_t k = 0; k < leaves.size(); ++k) {
      EXPECT_LT((ours[k] - theirs[k]).abs().max().item<double>(), 1e-9) << (k == 0 ? "x" : names_[k - 1]);
    }
  }

  std::vector<std::string> names_;
  std::map<std::string, at::Tensor> parameters_;
};

at::Tensor Features(const VoxelDomain& domain, int64_t channels) {
  return TensorOf(TestNumbers<double>(domain.rows() * channels, 1), {domain.rows(), channels}).requires_grad_();
}

TEST_F(LayersTest, ResidualBlockThatKeepsItsChannels) {
  const ResidualBlock block(4, 6, 4, kGroups);
  Prepare(block);
  EXPECT_EQ(names_, (std::vector<std::string>{"conv1.GroupNorm.weight", "conv1.GroupNorm.bias", "conv1.Conv.weight",
                                              "conv2.GroupNorm.weight", "conv2.GroupNorm.bias", "conv2.Conv.weight"}));
  for (const VoxelDomain& domain : Domains()) {
    const at::Tensor x = Features(domain, 4);
    ExpectSame(block.Forward(domain, x), Block(domain, Block(domain, x, "conv1"), "conv2") + x, x);
  }
}

TEST_F(LayersTest, ResidualBlockThatChangesItsChannels) {
  const ResidualBlock block(4, 6, 8, kGroups);
  Prepare(block);
  for (const VoxelDomain& domain : Domains()) {
    const at::Tensor x = Features(domain, 4);
    ExpectSame(block.Forward(domain, x),
               Block(domain, Block(domain, x, "conv1"), "conv2") + Pointwise(x, "skip_connection"), x);
  }
}

TEST_F(LayersTest, Head) {
  const Head head(4, 3, kGroups);
  Prepare(head);
  for (const VoxelDomain& domain : Domains()) {
    const at::Tensor x = Features(domain, 4);
    ExpectSame(head.Forward(domain, x), Pointwise(Block(domain, x, "SingleConv"), "OutConv"), x);
  }
}

TEST(VoxelDomainTest, HasItsOffsetsOnTheDeviceToo) {
  for (const VoxelDomain& domain : Domains()) {
    const at::Tensor& offsets = domain.device_offsets();
    EXPECT_TRUE(offsets.equal(TensorOf(domain.offsets(), {domain.batch_size() + 1})));
  }
}

}  // namespace
}  // namespace cubist
