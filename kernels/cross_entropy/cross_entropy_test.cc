#include <cmath>
#include <vector>

#include "ATen/ops/cross_entropy_loss.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

// Classes in [0, classes), some -1.
at::Tensor Targets(int64_t rows, int64_t classes) {
  std::vector<int64_t> target(rows);
  for (int64_t i = 0; i < rows; ++i) target[i] = i * 7 % (classes + 1) - 1;
  return TensorOf(target, {rows});
}

class CrossEntropyClasses : public ::testing::TestWithParam<int64_t> {};

TEST_P(CrossEntropyClasses, MatchesLibTorch) {
  const int64_t rows = 1500, classes = GetParam();
  const at::Tensor target = Targets(rows, classes);
  const at::Tensor ours = TensorOf(TestNumbers<double>(rows * classes, 1), {rows, classes}).mul(9).requires_grad_();
  const at::Tensor theirs = ours.detach().clone().requires_grad_();
  const at::Tensor u = TensorOf(TestNumbers<double>(rows, 2), {rows});
  const at::Tensor value = CrossEntropy(ours, target);
  const at::Tensor wanted =
      at::cross_entropy_loss(theirs, target, /*weight=*/std::nullopt, at::Reduction::None, /*ignore_index=*/-1);
  value.backward(u);
  wanted.backward(u);
  EXPECT_LT(value.sub(wanted).abs().max().item<double>(), 1e-13);
  EXPECT_LT(ours.grad().sub(theirs.grad()).abs().max().item<double>(), 1e-14);
}

TEST_P(CrossEntropyClasses, GradientsMatchFiniteDifferences) {
  const int64_t rows = 9, classes = GetParam();
  const at::Tensor target = Targets(rows, classes);
  ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return CrossEntropy(in[0], target); },
                       {TensorOf(TestNumbers<double>(rows * classes, 1), {rows, classes})});
}

INSTANTIATE_TEST_SUITE_P(Classes, CrossEntropyClasses, ::testing::Values(1, 2, 23));

TEST(CrossEntropy, LargeLogitsAndIgnoredRows) {
  const at::Tensor logits = TensorOf<float>({1e4f, -1e4f, 1e4f, -1e4f, 3, 4}, {3, 2}).requires_grad_();
  const at::Tensor value = CrossEntropy(logits, TensorOf<int64_t>({0, 1, -1}, {3}));
  EXPECT_TRUE(value.detach().equal(TensorOf<float>({0, 2e4f, 0}, {3})));
  value.backward(TensorOf<float>({1, 2, 3}, {3}));
  EXPECT_TRUE(logits.grad().equal(TensorOf<float>({0, 0, 2, -2, 0, 0}, {3, 2})));
}

TEST(CrossEntropy, SameBitsForAnyNumberOfThreads) {
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor logits = TensorOf(TestNumbers<float>(5000 * 23, 1), {5000, 23}).requires_grad_();
    const at::Tensor value = CrossEntropy(logits, Targets(5000, 23));
    value.backward(TensorOf(TestNumbers<float>(5000, 2), {5000}));
    return std::vector<at::Tensor>{value, logits.grad()};
  });
}

TEST(CrossEntropy, NoRowsAndWrongArguments) {
  const at::Tensor logits = at::empty({0, 3}).requires_grad_();
  const at::Tensor value = CrossEntropy(logits, at::empty({0}, at::kLong));
  EXPECT_EQ(value.sizes(), at::IntArrayRef({0}));
  value.sum().backward();
  EXPECT_EQ(logits.grad().sizes(), at::IntArrayRef({0, 3}));

  const at::Tensor two = at::zeros({2, 3});
  EXPECT_THROW(CrossEntropy(two, TensorOf<int64_t>({0, 3}, {2})), c10::Error);
  EXPECT_THROW(CrossEntropy(two, TensorOf<int64_t>({0, -2}, {2})), c10::Error);
  EXPECT_THROW(CrossEntropy(two, TensorOf<int64_t>({0}, {1})), c10::Error);
  EXPECT_THROW(CrossEntropy(two, TensorOf<int32_t>({0, 1}, {2})), c10::Error);
  EXPECT_THROW(CrossEntropy(at::zeros({2, 0}), TensorOf<int64_t>({-1, -1}, {2})), c10::Error);
  EXPECT_THROW(CrossEntropy(at::zeros({2, 3}, at::kBFloat16), TensorOf<int64_t>({0, 1}, {2})), c10::Error);
}

}  // namespace
}  // namespace cubist
