#include "ATen/ops/group_norm.h"

#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/silu.h"
#include "ATen/ops/sin.h"
#include "ATen/ops/zeros.h"
#include "base/simd_level.h"
#include "c10/core/GradMode.h"
#include "gtest/gtest.h"
#include "kernels/group_norm/group_norm_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

const GroupNormSilu kEverySilu[] = {GroupNormSilu::kNone, GroupNormSilu::kOfInput, GroupNormSilu::kOfOutput};

// The oracle: LibTorch's own normalisation of each sample's rows as [1, C, n].
at::Tensor SampleBySample(const at::Tensor& x, const std::vector<int64_t>& offsets, int64_t groups,
                          const at::Tensor& gamma, const at::Tensor& beta, GroupNormSilu silu) {
  const at::Tensor u = silu == GroupNormSilu::kOfInput ? at::silu(x) : x;
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const int64_t rows = offsets[b + 1] - offsets[b];
    if (rows == 0) continue;
    const at::Tensor dense = u.narrow(0, offsets[b], rows).t().unsqueeze(0);
    parts.push_back(at::group_norm(dense, groups, gamma, beta, 1e-5, false).squeeze(0).t());
  }
  const at::Tensor z = at::cat(parts);
  return silu == GroupNormSilu::kOfOutput ? at::silu(z) : z;
}

double Difference(const at::Tensor& a, const at::Tensor& b) {
  return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item().toDouble();
}

class GroupNormShape : public ::testing::TestWithParam<std::tuple<int, int, GroupNormSilu>> {};

TEST_P(GroupNormShape, MatchesTorchSampleBySample) {
  const auto [channels, groups, silu] = GetParam();
  // An empty sample first, inside and last; one of a single row; one of several blocks of rows.
  const std::vector<int64_t> offsets = {0, 0, 1400, 1400, 1401, 2000, 2000};
  const int64_t rows = offsets.back();
  const at::Tensor values = TensorOf(TestNumbers<double>(rows * channels, 1), {rows, channels}).mul(3.0).add(2.0);
  const at::Tensor u = TensorOf(TestNumbers<double>(rows * channels, 4), {rows, channels});
  const auto leaf = [](const at::Tensor& tensor, at::ScalarType dtype) {
    return tensor.to(dtype, /*non_blocking=*/false, /*copy=*/true).requires_grad_();
  };
  const at::Tensor gamma_values = TensorOf(TestNumbers<double>(channels, 2), {channels}).add(1.5);
  const at::Tensor beta_values = TensorOf(TestNumbers<double>(channels, 3), {channels});
  const at::Tensor wanted_x = leaf(values, at::kDouble), wanted_gamma = leaf(gamma_values, at::kDouble);
  const at::Tensor wanted_beta = leaf(beta_values, at::kDouble);
  const at::Tensor wanted = SampleBySample(wanted_x, offsets, groups, wanted_gamma, wanted_beta, silu);
  wanted.backward(u);
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    LimitSimdLevel(level);
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const at::Tensor x = leaf(values, dtype), gamma = leaf(gamma_values, dtype), beta = leaf(beta_values, dtype);
      const at::Tensor y = GroupNorm(x, offsets, gamma, beta, {groups, 1e-5, silu});
      y.backward(u.to(dtype));
      const double tolerance = dtype == at::kDouble ? 1e-9 : 1e-5;
      // In the group of two values that hardly differ, rounding of their SiLU is made 1 / sqrt(epsilon) times as large.
      const double of_y = silu == GroupNormSilu::kOfInput && dtype == at::kFloat ? 2 * tolerance : tolerance;
      EXPECT_LT(Difference(y, wanted), of_y) << dtype;
      // A group whose values hardly differ has gradients of the size of 1 / sqrt(epsilon) = 316.
      EXPECT_LT(Difference(x.grad(), wanted_x.grad()), 100 * tolerance) << dtype;
      EXPECT_LT(Difference(gamma.grad(), wanted_gamma.grad()), 100 * tolerance) << dtype;
      EXPECT_LT(Difference(beta.grad(), wanted_beta.grad()), 100 * tolerance) << dtype;
    }
  }
  LimitSimdLevel(SimdLevel::kAvx512);
}

INSTANTIATE_TEST_SUITE_P(
    Channels, GroupNormShape,
    ::testing::Values(std::tuple{32, 8, GroupNormSilu::kNone}, std::tuple{32, 8, GroupNormSilu::kOfOutput},
                      std::tuple{32, 8, GroupNormSilu::kOfInput}, std::tuple{15, 5, GroupNormSilu::kOfOutput},
                      std::tuple{15, 5, GroupNormSilu::kOfInput}, std::tuple{7, 1, GroupNormSilu::kOfOutput},
                      std::tuple{7, 1, GroupNormSilu::kOfInput}, std::tuple{6, 3, GroupNormSilu::kNone},
                      std::tuple{64, 32, GroupNormSilu::kOfOutput}, std::tuple{64, 32, GroupNormSilu::kOfInput}));

TEST(GroupNorm, GradientsMatchFiniteDifferences) {
  for (const GroupNormSilu silu : kEverySilu) {
    ExpectGradientsMatch(
        [&](const std::vector<at::Tensor>& in) {
          return GroupNorm(in[0], {0, 5, 5, 9}, in[1], in[2], {2, 1e-5, silu});
        },
        {TensorOf(TestNumbers<double>(9 * 6, 1), {9, 6}), TensorOf(TestNumbers<double>(6, 2), {6}),
         TensorOf(TestNumbers<double>(6, 3), {6})});
  }
}

// Rows of four samples, the second without any; what else joins in is uneven too.
const std::vector<int64_t> kModulatedOffsets = {0, 5, 5, 9, 16};

at::Tensor Modulated(const std::vector<at::Tensor>& in, GroupNormSilu silu) {
  GroupNormInputs inputs;
  inputs.scale = in[3];
  inputs.shift = in[4];
  inputs.residual = in[5];
  return GroupNorm(in[0], kModulatedOffsets, in[1], in[2], {2, 1e-5, silu}, inputs);
}

std::vector<at::Tensor> ModulatedInputs() {
  const auto numbers = [](at::IntArrayRef shape, uint32_t seed) {
    return TensorOf(TestNumbers<double>(c10::multiply_integers(shape), seed), shape);
  };
  return {numbers({16, 6}, 1), numbers({6}, 2),    numbers({6}, 3),
          numbers({4, 6}, 4),  numbers({4, 6}, 5), numbers({16, 6}, 6)};
}

TEST(GroupNorm, ModulationAndResidualMatchTheirFormulas) {
  const std::vector<at::Tensor> in = ModulatedInputs();
  for (const GroupNormSilu silu : kEverySilu) {
    const bool of_input = silu == GroupNormSilu::kOfInput, of_output = silu == GroupNormSilu::kOfOutput;
    const at::Tensor z =
        SampleBySample(in[0], kModulatedOffsets, 2, in[1], in[2], of_input ? silu : GroupNormSilu::kNone);
    std::vector<at::Tensor> parts;
    for (int64_t b = 0; b < 4; ++b) {
      const int64_t rows = kModulatedOffsets[b + 1] - kModulatedOffsets[b];
      parts.push_back(
          z.narrow(0, kModulatedOffsets[b], rows).mul(in[3].narrow(0, b, 1).add(1.0)).add(in[4].narrow(0, b, 1)));
    }
    const at::Tensor modulated = at::cat(parts);
    const at::Tensor wanted = (of_output ? at::silu(modulated) : modulated).add(in[5]);
    EXPECT_LT(Difference(Modulated(in, silu), wanted), 1e-12);
  }
}

TEST(GroupNorm, GradientsOfModulationAndResidualMatchFiniteDifferences) {
  for (const GroupNormSilu silu : kEverySilu) {
    ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return Modulated(in, silu); }, ModulatedInputs());
  }
}

// scale and shift as halves of one tensor are read where they lie.
TEST(GroupNorm, ScaleAndShiftBesideEachOther) {
  std::vector<at::Tensor> in = ModulatedInputs();
  const at::Tensor wanted = Modulated(in, GroupNormSilu::kOfOutput);
  const at::Tensor both = at::cat({in[3], in[4]}, 1);
  in[3] = both.narrow(1, 0, 6);
  in[4] = both.narrow(1, 6, 6);
  EXPECT_TRUE(Modulated(in, GroupNormSilu::kOfOutput).equal(wanted));
}

// x is used a second time, by an operation of its own; the gradients are those of two independent uses.
TEST(GroupNorm, HandsItsInputOn) {
  const std::vector<int64_t> offsets = {0, 700, 700, 1200};
  const at::Tensor x_values = TensorOf(TestNumbers<double>(1200 * 6, 1), {1200, 6});
  const at::Tensor u = TensorOf(TestNumbers<double>(1200 * 6, 2), {1200, 6});
  for (const GroupNormSilu silu : kEverySilu) {
    std::vector<std::vector<at::Tensor>> gradients;
    for (const bool ours : {false, true}) {
      const at::Tensor x = x_values.clone().requires_grad_(), gamma = at::ones({6}, at::kDouble).requires_grad_();
      const at::Tensor beta = at::zeros({6}, at::kDouble).requires_grad_();
      at::Tensor y = x, again = x;
      if (ours) {
        std::tie(y, again) = GroupNormAndInput(x, offsets, gamma, beta, {2, 1e-5, silu});
      } else {
        y = SampleBySample(x, offsets, 2, gamma, beta, silu);
      }
      EXPECT_TRUE(again.equal(x));
      y.mul(again.sin()).add(again.mul(2)).backward(u);
      gradients.push_back({x.grad(), gamma.grad(), beta.grad()});
    }
    for (size_t k = 0; k < 3; ++k) EXPECT_LT(Difference(gradients[1][k], gradients[0][k]), 1e-9) << k;
    ExpectGradientsMatch(
        [&](const std::vector<at::Tensor>& in) {
          const auto [y, again] = GroupNormAndInput(in[0], {0, 5, 5, 9}, in[1], in[2], {2, 1e-5, silu});
          return y.mul(again.sin());
        },
        {TensorOf(TestNumbers<double>(9 * 6, 1), {9, 6}), TensorOf(TestNumbers<double>(6, 2), {6}),
         TensorOf(TestNumbers<double>(6, 3), {6})});
  }
}

TEST(GroupNorm, HandsItsInputOnWhereOnlyOneOfBothIsUsed) {
  const at::Tensor gamma = at::ones({6}).requires_grad_(), beta = at::zeros({6});
  const at::Tensor x = TensorOf(TestNumbers<float>(9 * 6, 1), {9, 6}).requires_grad_();
  const at::Tensor u = TensorOf(TestNumbers<float>(9 * 6, 2), {9, 6});
  GroupNorm(x, {0, 9}, gamma, beta, {2}).backward(u);
  const at::Tensor wanted = x.grad().clone();
  x.mutable_grad() = at::Tensor();
  GroupNormAndInput(x, {0, 9}, gamma, beta, {2}).first.backward(u);
  EXPECT_TRUE(x.grad().equal(wanted));

  x.mutable_grad() = gamma.mutable_grad() = at::Tensor();
  GroupNormAndInput(x, {0, 9}, gamma, beta, {2}).second.mul(3).backward(u);
  EXPECT_TRUE(x.grad().equal(u.mul(3)));
  EXPECT_FALSE(gamma.grad().defined());

  // x needs no gradient, as the first features of a network.
  const at::Tensor fixed = x.detach();
  const auto [y, again] = GroupNormAndInput(fixed, {0, 9}, gamma, beta, {2});
  y.mul(again).backward(u);
  EXPECT_TRUE(gamma.grad().defined());
  const at::NoGradGuard no_gradients;
  EXPECT_FALSE(GroupNormAndInput(x, {0, 9}, gamma, beta, {2}).second.grad_fn());
}

// Rows that do not lie one after the other, of the input and of its gradient from elsewhere.
TEST(GroupNorm, HandsOnPartsOfWiderRows) {
  const at::Tensor wide = TensorOf(TestNumbers<double>(9 * 12, 1), {9, 12}).requires_grad_();
  const at::Tensor gamma = at::ones({6}, at::kDouble), beta = at::zeros({6}, at::kDouble);
  const auto [y, again] =
      GroupNormAndInput(wide.narrow(1, 3, 6), {0, 9}, gamma, beta, {2, 1e-5, GroupNormSilu::kOfInput});
  const at::Tensor u = TensorOf(TestNumbers<double>(9 * 6, 2), {6, 9}).t();
  at::cat({y, again}, 1).backward(at::cat({u, u}, 1));
  const at::Tensor x = wide.detach().narrow(1, 3, 6).clone().requires_grad_();
  at::cat({SampleBySample(x, {0, 9}, 2, gamma, beta, GroupNormSilu::kOfInput), x}, 1).backward(at::cat({u, u}, 1));
  EXPECT_LT(Difference(wide.grad().narrow(1, 3, 6), x.grad()), 1e-12);
}

// Float values around 1000 with a spread of 0.01: sums of squares in float would lose everything.
TEST(GroupNorm, MeanFarFromZero) {
  const int64_t rows = 3000;
  const at::Tensor x = TensorOf(TestNumbers<float>(rows * 4, 1), {rows, 4}).mul(0.01).add(1000.0);
  const at::Tensor gamma = at::ones({4}), beta = at::zeros({4});
  const at::Tensor wanted = SampleBySample(x.to(at::kDouble), {0, rows}, 2, gamma.to(at::kDouble), beta.to(at::kDouble),
                                           GroupNormSilu::kNone);
  EXPECT_LT(Difference(GroupNorm(x, {0, rows}, gamma, beta, {2}), wanted), 0.02);
}

TEST(GroupNorm, SameBitsForAnyNumberOfThreads) {
  const int64_t rows = 5000;
  for (const GroupNormSilu silu : kEverySilu) {
    ExpectSameBitsForAnyThreads([&] {
      const at::Tensor x = TensorOf(TestNumbers<float>(rows * 12, 1), {rows, 12}).requires_grad_();
      const at::Tensor gamma = TensorOf(TestNumbers<float>(12, 2), {12}).requires_grad_();
      const at::Tensor beta = TensorOf(TestNumbers<float>(12, 3), {12}).requires_grad_();
      const at::Tensor y = GroupNorm(x, {0, 2100, 5000}, gamma, beta, {4, 1e-5, silu});
      y.backward(TensorOf(TestNumbers<float>(rows * 12, 4), {rows, 12}));
      return std::vector<at::Tensor>{y, x.grad(), gamma.grad(), beta.grad()};
    });
  }
}

TEST(GroupNorm, NoRowsAtAll) {
  const at::Tensor x = at::empty({0, 4}).requires_grad_(), gamma = at::ones({4}).requires_grad_();
  const at::Tensor y = GroupNorm(x, {0, 0, 0}, gamma, at::zeros({4}), {2});
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 4}));
  y.sum().backward();
  EXPECT_TRUE(gamma.grad().equal(at::zeros({4})));
  EXPECT_EQ(GroupNorm(x, {0}, gamma, at::zeros({4}), {2}).size(0), 0);
}

TEST(GroupNorm, NotANumberStaysVisible) {
  at::Tensor x = at::zeros({20, 32});
  x.mutable_data_ptr<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = GroupNorm(x, {0, 20}, at::ones({32}), at::zeros({32}), {4, 1e-5, GroupNormSilu::kOfOutput});
  EXPECT_TRUE(y.isnan().any().item().toBool());
}

TEST(GroupNorm, RefusesWrongArguments) {
  const at::Tensor x = at::zeros({3, 4}), ones = at::ones({4}), zeros = at::zeros({4});
  EXPECT_THROW(GroupNorm(x, {0, 3}, ones, zeros, {3}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {0, 3}, ones, zeros, {0}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {0, 2}, ones, zeros, {2}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {1, 3}, ones, zeros, {2}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {0, 2, 1, 3}, ones, zeros, {2}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {}, ones, zeros, {2}), c10::Error);
  EXPECT_THROW(GroupNorm(x, {0, 3}, at::ones({3}), zeros, {2}), c10::Error);
  EXPECT_THROW(GroupNorm(x.to(at::kInt), {0, 3}, ones, zeros, {2}), c10::Error);
  GroupNormInputs inputs;
  const auto with_inputs = [&] { return GroupNorm(x, {0, 3}, ones, zeros, {2}, inputs); };
  inputs.scale = at::zeros({1, 4});
  EXPECT_THROW(with_inputs(), c10::Error);  // without shift
  inputs.shift = at::zeros({2, 4});
  EXPECT_THROW(with_inputs(), c10::Error);
  inputs.shift = at::zeros({1, 4});
  EXPECT_NO_THROW(with_inputs());
  inputs.residual = at::zeros({1, 4});
  EXPECT_THROW(with_inputs(), c10::Error);
}

}  // namespace
}  // namespace cubist
