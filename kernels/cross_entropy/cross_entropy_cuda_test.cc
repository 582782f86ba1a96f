#include <cmath>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

struct Case {
  int64_t rows, classes;
};

class CrossEntropyCuda : public ::testing::TestWithParam<Case> {};

TEST_P(CrossEntropyCuda, MatchesTheHost) {
  const auto [rows, classes] = GetParam();
  std::vector<int64_t> targets(rows);
  for (int64_t i = 0; i < rows; ++i) targets[i] = i * 7 % (classes + 1) - 1;
  const at::Tensor target = TensorOf(targets, {rows});
  const at::Tensor u = TensorOf(TestNumbers<float>(rows, 2), {rows});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor logits = TensorOf(TestNumbers<float>(rows * classes, 1), {rows, classes}).mul(9).to(dtype);
    const at::Tensor x = logits.to(at::kDouble).requires_grad_();
    const at::Tensor value = CrossEntropy(x, target);
    value.backward(u.to(at::kDouble));
    at::Tensor first;
    for (int run = 0; run < 2; ++run) {
      const PoisonedMemory poisoned;
      const at::Tensor gpu_x = logits.to(at::kCUDA).requires_grad_();
      const at::Tensor gpu_value = CrossEntropy(gpu_x, target.to(at::kCUDA));
      gpu_value.backward(u.to(at::kCUDA));
      EXPECT_EQ(gpu_value.scalar_type(), at::kFloat);
      EXPECT_EQ(gpu_x.grad().scalar_type(), dtype);
      EXPECT_LT(RelativeError(gpu_value, value), 1e-6);
      EXPECT_LT(RelativeError(gpu_x.grad(), x.grad()), dtype == at::kFloat ? 1e-6 : 4e-3);
      if (run == 0) first = gpu_x.grad();
      EXPECT_TRUE(SameBits(gpu_x.grad(), first));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CrossEntropyCuda,
                         ::testing::Values(Case{70001, 2}, Case{70001, 23}, Case{1000, 1}, Case{513, 97}, Case{9, 4096},
                                           Case{1, 23}, Case{128, 8}));

TEST(CrossEntropyCuda, LargeLogitsIgnoredRowsAndWrongTargets) {
  const at::Tensor logits =
      TensorOf<float>({1e4f, -1e4f, 1e4f, -1e4f, 3, 4, 3, 4}, {4, 2}).to(at::kCUDA).requires_grad_();
  const at::Tensor value = CrossEntropy(logits, TensorOf<int64_t>({0, 1, -1, 2}, {4}).to(at::kCUDA));
  const at::Tensor got = value.detach().cpu();
  EXPECT_TRUE(got.slice(0, 0, 3).equal(TensorOf<float>({0, 2e4f, 0}, {3})));
  EXPECT_TRUE(std::isnan(got[3].item<float>()));
  value.backward(TensorOf<float>({1, 2, 3, 4}, {4}).to(at::kCUDA));
  EXPECT_TRUE(logits.grad().cpu().slice(0, 0, 3).equal(TensorOf<float>({0, 0, 2, -2, 0, 0}, {3, 2})));
  EXPECT_TRUE(std::isnan(logits.grad().cpu()[3][0].item<float>()));
}

TEST(CrossEntropyCuda, NoRowsAndWrongArguments) {
  const at::TensorOptions long_on_gpu = at::TensorOptions(at::kLong).device(at::kCUDA);
  const at::Tensor logits = at::empty({0, 3}, at::kCUDA).requires_grad_();
  const at::Tensor value = CrossEntropy(logits, at::empty({0}, long_on_gpu));
  EXPECT_EQ(value.sizes(), at::IntArrayRef({0}));
  value.sum().backward();
  EXPECT_EQ(logits.grad().sizes(), at::IntArrayRef({0, 3}));
  EXPECT_THROW(CrossEntropy(logits, at::empty({0}, at::kLong)), c10::Error);
  EXPECT_THROW(CrossEntropy(at::zeros({1, 4097}, at::kCUDA), at::zeros({1}, long_on_gpu)), c10::Error);
  // Rows that begin at addresses that are no multiple of 16.
  const at::Tensor shifted = TensorOf(TestNumbers<float>(2301, 1), {2301}).to(at::kCUDA).slice(0, 1).view({100, 23});
  const at::Tensor target = at::zeros({100}, at::kLong);
  EXPECT_LT(RelativeError(CrossEntropy(shifted, target.to(at::kCUDA)), CrossEntropy(shifted.cpu(), target)), 1e-6);
}

}  // namespace
}  // namespace cubist
