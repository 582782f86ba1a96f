#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/max_pool3d_with_indices.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/max_pool/max_pool_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

// The oracle: LibTorch's dense pooling of volumes that are -infinity where there is no voxel. Its
// backward, too, takes the first maximum in the scan order x, y, z, which is the order of our rows. Values
// are a few whole numbers, so that equal maxima are everywhere.
class MaxPoolFactor : public ::testing::TestWithParam<std::tuple<int, int, int>> {};

TEST_P(MaxPoolFactor, MatchesDensePoolingWithTies) {
  const auto [fx, fy, fz] = GetParam();
  constexpr int kSamples = 2, kExtent = 12, kChannels = 5;
  const TestVoxels voxels = RandomTestVoxels(kSamples, kExtent, 0.3, 8);
  const int64_t rows = static_cast<int64_t>(voxels.size());
  std::vector<float> x = TestNumbers<float>(rows * kChannels, 2);
  for (float& value : x) value = std::round(2.0f * value);

  at::Tensor dense =
      at::full({kSamples, kChannels, kExtent, kExtent, kExtent}, -std::numeric_limits<double>::infinity(), at::kFloat);
  const auto cell = [&](int b, int c, int i, int j, int k) {
    return (((int64_t{b} * kChannels + c) * kExtent + i) * kExtent + j) * kExtent + k;
  };
  for (int64_t row = 0; row < rows; ++row) {
    const auto [b, i, j, k] = voxels[row];
    for (int c = 0; c < kChannels; ++c) dense.mutable_data_ptr<float>()[cell(b, c, i, j, k)] = x[row * kChannels + c];
  }
  const auto [pooled, winner] = at::max_pool3d_with_indices(dense, {fx, fy, fz});

  // Coarse rows in order of their coordinates; the first one is made up and has no fine voxel.
  std::map<std::tuple<int, int, int, int>, int64_t> coarse = {{{-1, 0, 0, 0}, 0}};
  for (const auto& [b, i, j, k] : voxels) coarse[{b, i / fx, j / fy, k / fz}] = 0;
  int64_t count = 0;
  for (auto& [coordinates, row] : coarse) row = count++;
  std::vector<int64_t> parent;
  for (const auto& [b, i, j, k] : voxels) parent.push_back(coarse[{b, i / fx, j / fy, k / fz}]);

  const at::Tensor leaf = TensorOf(x, {rows, kChannels}).requires_grad_();
  const at::Tensor y = MaxPool(leaf, TensorOf(parent, {rows}), count);
  const std::vector<float> dy = TestNumbers<float>(count * kChannels, 3);
  y.backward(TensorOf(dy, {count, kChannels}));
  at::Tensor dense_gradient = at::zeros(dense.sizes());
  for (const auto& [coordinates, row] : coarse) {
    const auto [b, i, j, k] = coordinates;
    for (int c = 0; c < kChannels; ++c) {
      const float got = y.const_data_ptr<float>()[row * kChannels + c];
      if (b < 0) {
        EXPECT_EQ(got, 0.0f);
        continue;
      }
      ASSERT_EQ(got, pooled[b][c][i][j][k].item().toFloat());
      const int64_t place = winner[b][c][i][j][k].item().toLong();
      dense_gradient.mutable_data_ptr<float>()[cell(b, c, 0, 0, 0) + place] = dy[row * kChannels + c];
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    const auto [b, i, j, k] = voxels[row];
    for (int c = 0; c < kChannels; ++c) {
      ASSERT_EQ(leaf.grad().const_data_ptr<float>()[row * kChannels + c],
                dense_gradient.const_data_ptr<float>()[cell(b, c, i, j, k)])
          << "row " << row << " channel " << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Factors, MaxPoolFactor,
                         ::testing::Values(std::tuple{2, 2, 1}, std::tuple{2, 2, 2}, std::tuple{1, 1, 1},
                                           std::tuple{3, 2, 4}));

TEST(MaxPool, RowsInAnyOrderAndWithoutParent) {
  const at::Tensor x = TensorOf<double>({-5, -7, -5, 1, 99}, {5, 1}).requires_grad_();
  const at::Tensor y = MaxPool(x, TensorOf<int64_t>({2, 0, 2, 0, -1}, {5}), 3);
  EXPECT_TRUE(y.detach().equal(TensorOf<double>({1, 0, -5}, {3, 1})));
  y.backward(TensorOf<double>({10, 20, 30}, {3, 1}));
  EXPECT_TRUE(x.grad().equal(TensorOf<double>({30, 0, 0, 10, 0}, {5, 1})));
}

TEST(MaxPool, GradientsMatchFiniteDifferences) {
  const at::Tensor parent = TensorOf<int64_t>({0, 0, 3, 1, 1, 1, 3}, {7});
  ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return MaxPool(in[0], parent, 4); },
                       {TensorOf(TestNumbers<double>(21, 1), {7, 3})});
}

TEST(MaxPool, SameBitsForAnyNumberOfThreads) {
  std::vector<int64_t> parent(12000);
  for (size_t i = 0; i < parent.size(); ++i) parent[i] = static_cast<int64_t>(i / 3 * 7 % 4000);
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor x = TensorOf(TestNumbers<float>(12000 * 3, 1), {12000, 3}).requires_grad_();
    const at::Tensor y = MaxPool(x, TensorOf(parent, {12000}), 4000);
    y.backward(TensorOf(TestNumbers<float>(4000 * 3, 2), {4000, 3}));
    return std::vector<at::Tensor>{y, x.grad()};
  });
}

TEST(MaxPool, EmptyInputsAndWrongArguments) {
  const at::Tensor none = at::empty({0}, at::kLong);
  EXPECT_TRUE(MaxPool(at::empty({0, 3}), none, 2).equal(at::zeros({2, 3})));
  const at::Tensor x = at::empty({0, 3}).requires_grad_();
  const at::Tensor y = MaxPool(x, none, 0);
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 3}));
  y.sum().backward();
  EXPECT_EQ(x.grad().sizes(), at::IntArrayRef({0, 3}));

  EXPECT_THROW(MaxPool(at::zeros({2, 3}), TensorOf<int64_t>({0, 2}, {2}), 2), c10::Error);
  EXPECT_THROW(MaxPool(at::zeros({2, 3}), TensorOf<int64_t>({0}, {1}), 2), c10::Error);
  EXPECT_THROW(MaxPool(at::zeros({2, 3}), TensorOf<int64_t>({0, 0}, {2}), -1), c10::Error);
  EXPECT_THROW(MaxPool(at::zeros({2, 3}), TensorOf<int32_t>({0, 0}, {2}), 2), c10::Error);
}

}  // namespace
}  // namespace cubist
