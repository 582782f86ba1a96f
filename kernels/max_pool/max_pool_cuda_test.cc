#include <cmath>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/max_pool/max_pool_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

struct Case {
  int64_t fine, coarse, channels;
};

class MaxPoolCuda : public ::testing::TestWithParam<Case> {};

// Values are a few whole numbers, so that equal maxima are everywhere; some rows have no parent, some parents no rows.
TEST_P(MaxPoolCuda, EqualsTheHost) {
  const auto [fine, coarse, channels] = GetParam();
  std::vector<int64_t> parent(fine);
  const PhiloxKey key(5, RandomPurpose::kSynthesis);
  for (int64_t i = 0; i < fine; ++i) parent[i] = static_cast<int64_t>(PhiloxInteger(key, 1, i, coarse + 1)) - 1;
  const at::Tensor parents = TensorOf(parent, {fine});
  const at::Tensor values = TensorOf(TestNumbers<float>(fine * channels, 1), {fine, channels}).mul(2).round();
  const at::Tensor dy = TensorOf(TestNumbers<float>(coarse * channels, 2), {coarse, channels});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor rounded_dy = dy.to(dtype);
    const at::Tensor x = values.clone().requires_grad_();
    const at::Tensor y = MaxPool(x, parents, coarse);
    y.backward(rounded_dy.to(at::kFloat));
    const PoisonedMemory poisoned;
    const at::Tensor gpu_x = values.to(at::kCUDA, dtype).requires_grad_();
    const at::Tensor gpu_y = MaxPool(gpu_x, parents.to(at::kCUDA), coarse);
    gpu_y.backward(rounded_dy.to(at::kCUDA));
    EXPECT_EQ(gpu_y.scalar_type(), dtype);
    EXPECT_TRUE(gpu_y.detach().cpu().to(at::kFloat).equal(y.detach()));
    EXPECT_TRUE(gpu_x.grad().cpu().to(at::kFloat).equal(x.grad()));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, MaxPoolCuda,
                         ::testing::Values(Case{9000, 2500, 64}, Case{9001, 700, 5}, Case{300, 2000, 12},
                                           Case{2000, 3, 8}, Case{1, 1, 1}));

TEST(MaxPoolCuda, NegativeMaximaAndEmptyInputs) {
  const at::TensorOptions long_on_gpu = at::TensorOptions(at::kLong).device(at::kCUDA);
  const at::Tensor x = TensorOf<float>({-5, -7, -5, 1, 99}, {5, 1}).to(at::kCUDA).requires_grad_();
  const at::Tensor y = MaxPool(x, TensorOf<int64_t>({2, 0, 2, 0, -1}, {5}).to(at::kCUDA), 3);
  EXPECT_TRUE(y.detach().cpu().equal(TensorOf<float>({1, 0, -5}, {3, 1})));
  y.backward(TensorOf<float>({10, 20, 30}, {3, 1}).to(at::kCUDA));
  EXPECT_TRUE(x.grad().cpu().equal(TensorOf<float>({30, 0, 0, 10, 0}, {5, 1})));

  const PoisonedMemory poisoned;
  EXPECT_TRUE(MaxPool(at::empty({0, 3}, at::kCUDA), at::empty({0}, long_on_gpu), 2).cpu().equal(at::zeros({2, 3})));
  const at::Tensor lonely = at::zeros({4, 3}, at::kCUDA).requires_grad_();
  const at::Tensor none = MaxPool(lonely, at::full({4}, -1, long_on_gpu), 0);
  EXPECT_EQ(none.sizes(), at::IntArrayRef({0, 3}));
  none.sum().backward();
  EXPECT_TRUE(lonely.grad().cpu().equal(at::zeros({4, 3})));
  EXPECT_THROW(MaxPool(lonely, at::zeros({4}, at::kLong), 1), c10::Error);
}

}  // namespace
}  // namespace cubist
