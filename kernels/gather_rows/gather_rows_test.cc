#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/gather_rows/gather_rows_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

// Entries in [-1, limit), each value many times.
std::vector<int64_t> RandomIndex(int64_t count, int64_t limit, uint32_t seed) {
  std::vector<int64_t> index(count);
  for (int64_t i = 0; i < count; ++i) {
    index[i] = static_cast<int64_t>(PhiloxInteger(PhiloxKey(seed, RandomPurpose::kSynthesis), 1, i, limit + 1)) - 1;
  }
  return index;
}

TEST(GatherRows, PicksRowsAndZeros) {
  const at::Tensor x = TensorOf<float>({1, 2, 3, 4, 5, 6}, {3, 2}).requires_grad_();
  const at::Tensor y = GatherRows(x, TensorOf<int64_t>({2, -1, 0, 2}, {4}));
  EXPECT_TRUE(y.detach().equal(TensorOf<float>({5, 6, 0, 0, 1, 2, 5, 6}, {4, 2})));
  y.backward(TensorOf<float>({1, 2, 10, 20, 100, 200, 1000, 2000}, {4, 2}));
  EXPECT_TRUE(x.grad().equal(TensorOf<float>({100, 200, 0, 0, 1001, 2002}, {3, 2})));
}

// Ascending order is visible in float: 1e8 + 1 - 1e8 is 0 in this order and 1 in another.
TEST(GatherRows, GradientIsAddedInAscendingOrder) {
  const at::Tensor x = TensorOf<float>({0, 0}, {2, 1}).requires_grad_();
  GatherRows(x, TensorOf<int64_t>({1, 1, 0, 1}, {4})).backward(TensorOf<float>({1e8f, 1.0f, 7.0f, -1e8f}, {4, 1}));
  EXPECT_TRUE(x.grad().equal(TensorOf<float>({7.0f, 0.0f}, {2, 1})));
}

TEST(GatherRows, MatchesPlainLoops) {
  const int64_t rows = 900, picked = 5000, channels = 7;
  const std::vector<float> values = TestNumbers<float>(rows * channels, 1);
  const std::vector<float> dy = TestNumbers<float>(picked * channels, 2);
  const std::vector<int64_t> index = RandomIndex(picked, rows, 3);
  const at::Tensor x = TensorOf(values, {rows, channels}).requires_grad_();
  const at::Tensor y = GatherRows(x, TensorOf(index, {picked}));
  y.backward(TensorOf(dy, {picked, channels}));
  std::vector<double> wanted(rows * channels, 0.0);
  for (int64_t i = 0; i < picked; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float value = index[i] < 0 ? 0.0f : values[index[i] * channels + c];
      ASSERT_EQ(y.const_data_ptr<float>()[i * channels + c], value);
      if (index[i] >= 0) wanted[index[i] * channels + c] += dy[i * channels + c];
    }
  }
  for (int64_t k = 0; k < rows * channels; ++k) ASSERT_NEAR(x.grad().const_data_ptr<float>()[k], wanted[k], 1e-5);
}

TEST(GatherRows, GradientsMatchFiniteDifferences) {
  const at::Tensor index = TensorOf(RandomIndex(30, 9, 5), {30});
  ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return GatherRows(in[0], index); },
                       {TensorOf(TestNumbers<double>(27, 1), {9, 3})});
}

TEST(GatherRows, SameBitsForAnyNumberOfThreads) {
  const at::Tensor index = TensorOf(RandomIndex(20000, 3000, 5), {20000});
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor x = TensorOf(TestNumbers<float>(3000 * 5, 1), {3000, 5}).requires_grad_();
    const at::Tensor y = GatherRows(x, index);
    y.backward(TensorOf(TestNumbers<float>(20000 * 5, 2), {20000, 5}));
    return std::vector<at::Tensor>{y, x.grad()};
  });
}

TEST(GatherRows, EmptyInputs) {
  const at::Tensor none = at::empty({0}, at::kLong);
  const at::Tensor x = TensorOf<float>({1, 2, 3}, {1, 3}).requires_grad_();
  const at::Tensor y = GatherRows(x, none);
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 3}));
  y.sum().backward();
  EXPECT_TRUE(x.grad().equal(at::zeros({1, 3})));
  EXPECT_TRUE(GatherRows(at::empty({0, 3}), TensorOf<int64_t>({-1, -1}, {2})).equal(at::zeros({2, 3})));
}

TEST(GatherRows, RefusesWrongArguments) {
  const at::Tensor x = at::zeros({3, 2});
  EXPECT_THROW(GatherRows(x, TensorOf<int64_t>({3}, {1})), c10::Error);
  EXPECT_THROW(GatherRows(x, TensorOf<int64_t>({-2}, {1})), c10::Error);
  EXPECT_THROW(GatherRows(x, TensorOf<int32_t>({1}, {1})), c10::Error);
  EXPECT_THROW(GatherRows(at::zeros({3}), TensorOf<int64_t>({1}, {1})), c10::Error);
}

}  // namespace
}  // namespace cubist
