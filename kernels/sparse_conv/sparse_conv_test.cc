#include "kernels/sparse_conv/sparse_conv.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "base/parallel_for.h"
#include "base/simd_level.h"
#include "gtest/gtest.h"
#include "kernels/sparse_conv/sparse_conv_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

at::Tensor MapTensor(const TestVoxels& voxels) {
  const int64_t rows = static_cast<int64_t>(voxels.size());
  return TensorOf<int32_t>(TestNeighborMap(voxels), {27, rows});
}

// The oracle: each sample is written to a dense volume with a border of one empty cell, and the definition
//   out[o](i,j,k) = sum_c sum_{dx,dy,dz} W[o, c, dz+1, dy+1, dx+1] * in[c](i+dx, j+dy, k+dz)
// is summed by loops over that volume. It knows neither rows' neighbours nor taps.
std::vector<double> DenseConvolution(const TestVoxels& voxels, int samples, int extent, const std::vector<double>& x,
                                     int64_t ci, const std::vector<double>& weight, int64_t co) {
  const int side = extent + 2;
  const auto cell = [&](int b, int i, int j, int k) { return ((b * side + i + 1) * side + j + 1) * side + k + 1; };
  std::vector<double> volume(static_cast<size_t>(samples * side * side * side) * ci, 0.0);
  for (size_t row = 0; row < voxels.size(); ++row) {
    const auto [b, i, j, k] = voxels[row];
    for (int64_t c = 0; c < ci; ++c) volume[cell(b, i, j, k) * ci + c] = x[row * ci + c];
  }
  std::vector<double> y(voxels.size() * co, 0.0);
  for (size_t row = 0; row < voxels.size(); ++row) {
    const auto [b, i, j, k] = voxels[row];
    for (int64_t o = 0; o < co; ++o) {
      for (int64_t c = 0; c < ci; ++c) {
        for (int dx = -1; dx <= 1; ++dx) {
          for (int dy = -1; dy <= 1; ++dy) {
            for (int dz = -1; dz <= 1; ++dz) {
              y[row * co + o] += weight[(((o * ci + c) * 3 + dz + 1) * 3 + dy + 1) * 3 + dx + 1] *
                                 volume[cell(b, i + dx, j + dy, k + dz) * ci + c];
            }
          }
        }
      }
    }
  }
  return y;
}

class SparseConvShape : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(SparseConvShape, MatchesDenseOracleAtEverySimdLevel) {
  const auto [ci, co] = GetParam();
  TestVoxels voxels = RandomTestVoxels(/*samples=*/3, /*extent=*/7, 0.4, 5);
  // Sample 1 is empty.
  voxels.erase(std::remove_if(voxels.begin(), voxels.end(), [](const auto& voxel) { return voxel[0] == 1; }),
               voxels.end());
  const int64_t rows = static_cast<int64_t>(voxels.size());
  ASSERT_GT(rows, 200);
  const std::vector<double> x = TestNumbers<double>(rows * ci, 1);
  const std::vector<double> weight = TestNumbers<double>(co * ci * 27, 2);
  const std::vector<double> bias = TestNumbers<double>(co, 3);
  std::vector<double> wanted = DenseConvolution(voxels, 3, 7, x, ci, weight, co);
  for (size_t k = 0; k < wanted.size(); ++k) wanted[k] += bias[k % co];
  const at::Tensor map = MapTensor(voxels);
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    LimitSimdLevel(level);
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const at::Tensor y =
          SparseConv3d(TensorOf(x, {rows, ci}).to(dtype), TensorOf(weight, {co, ci, 3, 3, 3}).to(dtype), map,
                       TensorOf(bias, {co}).to(dtype))
              .to(at::kDouble);
      ASSERT_EQ(y.sizes(), at::IntArrayRef({rows, co}));
      const double tolerance = dtype == at::kDouble ? 1e-12 : 1e-5 * std::sqrt(27.0 * ci);
      for (size_t k = 0; k < wanted.size(); ++k) {
        ASSERT_NEAR(y.const_data_ptr<double>()[k], wanted[k], tolerance) << "number " << k << " of " << dtype;
      }
    }
  }
  LimitSimdLevel(SimdLevel::kAvx512);
}

INSTANTIATE_TEST_SUITE_P(Channels, SparseConvShape,
                         ::testing::Values(std::tuple{1, 1}, std::tuple{3, 5}, std::tuple{8, 8}, std::tuple{7, 23},
                                           std::tuple{16, 32}, std::tuple{32, 64}, std::tuple{64, 4},
                                           std::tuple{33, 47}));

// One voxel with value 1 at the centre of a full 3^3 block: the output at the voxel whose neighbour at (dx, dy,
// dz) is the centre is the weight of that offset, and nothing else.
TEST(SparseConv, SingleImpulseAtEachOffset) {
  const TestVoxels voxels = RandomTestVoxels(1, 3, 1.0, 1);
  ASSERT_EQ(voxels.size(), 27u);
  at::Tensor weight = at::empty({1, 1, 3, 3, 3}, at::kDouble);
  for (int dx = -1; dx <= 1; ++dx) {
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dz = -1; dz <= 1; ++dz) {
        // K0 along z, K1 along y, K2 along x.
        weight.mutable_data_ptr<double>()[(dz + 1) * 9 + (dy + 1) * 3 + (dx + 1)] = 100 * dx + 10 * dy + dz + 1000;
      }
    }
  }
  at::Tensor x = at::zeros({27, 1}, at::kDouble);
  x.mutable_data_ptr<double>()[13] = 1.0;
  ASSERT_EQ(voxels[13], (std::array<int, 4>{0, 1, 1, 1}));
  const at::Tensor y = SparseConv3d(x, weight, MapTensor(voxels));
  for (int row = 0; row < 27; ++row) {
    const int dx = 1 - voxels[row][1], dy = 1 - voxels[row][2], dz = 1 - voxels[row][3];
    EXPECT_EQ(y.const_data_ptr<double>()[row], 100 * dx + 10 * dy + dz + 1000) << dx << " " << dy << " " << dz;
  }
}

// <conv(x), u> = <x, dX(u)> = <W, dW(x, u)> in double, whatever the tensors.
TEST(SparseConv, AdjointIdentities) {
  const TestVoxels voxels = RandomTestVoxels(2, 8, 0.35, 9);
  const int64_t rows = static_cast<int64_t>(voxels.size()), ci = 13, co = 9;
  const at::Tensor x = TensorOf(TestNumbers<double>(rows * ci, 1), {rows, ci}).requires_grad_();
  const at::Tensor weight = TensorOf(TestNumbers<double>(co * ci * 27, 2), {co, ci, 3, 3, 3}).requires_grad_();
  const at::Tensor bias = at::zeros({co}, at::kDouble).requires_grad_();
  const at::Tensor u = TensorOf(TestNumbers<double>(rows * co, 3), {rows, co});
  const at::Tensor y = SparseConv3d(x, weight, MapTensor(voxels), bias);
  y.backward(u);
  const double left = y.mul(u).sum().item<double>();
  EXPECT_NEAR(left, x.mul(x.grad()).sum().item<double>(), 1e-10 * std::abs(left) + 1e-10);
  EXPECT_NEAR(left, weight.mul(weight.grad()).sum().item<double>(), 1e-10 * std::abs(left) + 1e-10);
  EXPECT_LT(bias.grad().sub(u.sum(0)).abs().max().item<double>(), 1e-12);
}

TEST(SparseConv, GradientsMatchFiniteDifferences) {
  const TestVoxels voxels = RandomTestVoxels(2, 3, 0.5, 4);
  const int64_t rows = static_cast<int64_t>(voxels.size()), ci = 3, co = 2;
  const at::Tensor map = MapTensor(voxels);
  ExpectGradientsMatch(
      [&](const std::vector<at::Tensor>& in) { return SparseConv3d(in[0], in[1], map, in[2]); },
      {TensorOf(TestNumbers<double>(rows * ci, 1), {rows, ci}),
       TensorOf(TestNumbers<double>(co * ci * 27, 2), {co, ci, 3, 3, 3}), TensorOf(TestNumbers<double>(co, 3), {co})});
}

// Float gradients of many rows (several chunks in the weight's) against the double ones.
TEST(SparseConv, FloatGradientsMatchDouble) {
  const TestVoxels voxels = RandomTestVoxels(1, 44, 0.45, 2);
  const int64_t rows = static_cast<int64_t>(voxels.size()), ci = 5, co = 9;
  ASSERT_GT(rows, 32768);
  const at::Tensor map = MapTensor(voxels);
  std::vector<at::Tensor> gradients[2];
  for (const int k : {0, 1}) {
    const at::ScalarType dtype = k == 0 ? at::kDouble : at::kFloat;
    const auto leaf = [&](const std::vector<float>& values, at::IntArrayRef shape) {
      return TensorOf(values, shape).to(dtype).requires_grad_();
    };
    const at::Tensor x = leaf(TestNumbers<float>(rows * ci, 1), {rows, ci});
    const at::Tensor weight = leaf(TestNumbers<float>(co * ci * 27, 2), {co, ci, 3, 3, 3});
    const at::Tensor bias = leaf(TestNumbers<float>(co, 3), {co});
    SparseConv3d(x, weight, map, bias).backward(TensorOf(TestNumbers<float>(rows * co, 4), {rows, co}).to(dtype));
    gradients[k] = {x.grad().to(at::kDouble), weight.grad().to(at::kDouble), bias.grad().to(at::kDouble)};
  }
  EXPECT_LT(gradients[0][0].sub(gradients[1][0]).abs().max().item<double>(), 2e-5);
  EXPECT_LT(gradients[0][1].sub(gradients[1][1]).abs().max().item<double>(), 5e-3);
  EXPECT_LT(gradients[0][2].sub(gradients[1][2]).abs().max().item<double>(), 5e-5);
}

TEST(SparseConv, SameBitsForAnyNumberOfThreads) {
  const TestVoxels voxels = RandomTestVoxels(1, 44, 0.45, 2);
  const int64_t rows = static_cast<int64_t>(voxels.size()), ci = 12, co = 10;
  const at::Tensor map = MapTensor(voxels);
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor x = TensorOf(TestNumbers<float>(rows * ci, 1), {rows, ci}).requires_grad_();
    const at::Tensor weight = TensorOf(TestNumbers<float>(co * ci * 27, 2), {co, ci, 3, 3, 3}).requires_grad_();
    const at::Tensor bias = TensorOf(TestNumbers<float>(co, 3), {co}).requires_grad_();
    const at::Tensor y = SparseConv3d(x, weight, map, bias);
    y.backward(TensorOf(TestNumbers<float>(rows * co, 4), {rows, co}));
    return std::vector<at::Tensor>{y, x.grad(), weight.grad(), bias.grad()};
  });
}

TEST(SparseConv, NoRowsAndOneVoxel) {
  const at::Tensor weight = TensorOf(TestNumbers<float>(4 * 3 * 27, 2), {4, 3, 3, 3, 3}).requires_grad_();
  const at::Tensor bias = TensorOf(TestNumbers<float>(4, 3), {4}).requires_grad_();
  const at::Tensor x = at::empty({0, 3}, at::kFloat).requires_grad_();
  const at::Tensor y = SparseConv3d(x, weight, at::empty({27, 0}, at::kInt), bias);
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 4}));
  y.sum().backward();
  EXPECT_EQ(x.grad().sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(weight.grad().abs().sum().item<float>(), 0.0f);
  EXPECT_EQ(bias.grad().abs().sum().item<float>(), 0.0f);

  const at::Tensor one = TensorOf<float>({1, 0, 0}, {1, 3});
  const at::Tensor alone = SparseConv3d(one, weight, MapTensor({{0, 5, 5, 5}}));
  for (int o = 0; o < 4; ++o) {
    EXPECT_EQ(alone.const_data_ptr<float>()[o], weight.const_data_ptr<float>()[(o * 3 + 0) * 27 + 13]);
  }
}

TEST(SparseConv, TakesTransposedInputsAndRefusesWrongOnes) {
  const TestVoxels voxels = RandomTestVoxels(1, 4, 0.5, 3);
  const int64_t rows = static_cast<int64_t>(voxels.size());
  const at::Tensor map = MapTensor(voxels);
  const at::Tensor x = TensorOf(TestNumbers<float>(rows * 3, 1), {rows, 3});
  const at::Tensor weight = TensorOf(TestNumbers<float>(4 * 3 * 27, 2), {4, 3, 3, 3, 3});
  const at::Tensor transposed = x.t().contiguous().t();
  ASSERT_FALSE(transposed.is_contiguous());
  EXPECT_TRUE(SparseConv3d(transposed, weight, map).equal(SparseConv3d(x, weight, map)));

  EXPECT_THROW(SparseConv3d(x.to(at::kInt), weight, map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight.to(at::kDouble), map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight.narrow(1, 0, 2), map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight, map.to(at::kLong)), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight, map.narrow(0, 0, 26)), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight, map, at::zeros({3})), c10::Error);
  at::Tensor wild = map.clone();
  wild.mutable_data_ptr<int32_t>()[5] = static_cast<int32_t>(rows);
  EXPECT_THROW(SparseConv3d(x, weight, wild), c10::Error);
}

}  // namespace
}  // namespace cubist
