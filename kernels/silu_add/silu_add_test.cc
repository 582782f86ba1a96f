#include <limits>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/silu.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/silu_add/silu_add_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

TEST(SiluAdd, MatchesLibTorch) {
  const int64_t rows = 20001, channels = 3;
  const at::Tensor values = TensorOf(TestNumbers<double>(rows * channels, 1), {rows, channels}).mul(30);
  const at::Tensor other = TensorOf(TestNumbers<double>(rows * channels, 2), {rows, channels});
  const at::Tensor u = TensorOf(TestNumbers<double>(rows * channels, 3), {rows, channels});
  const at::Tensor wanted_x = values.clone().requires_grad_();
  const at::Tensor wanted = at::silu(wanted_x).add(other);
  wanted.backward(u);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const auto leaf = [&](const at::Tensor& tensor) {
      return tensor.to(dtype, /*non_blocking=*/false, /*copy=*/true).requires_grad_();
    };
    const at::Tensor x = leaf(values), residual = leaf(other);
    const at::Tensor y = SiluAdd(x, residual);
    y.backward(u.to(dtype));
    const double tolerance = dtype == at::kDouble ? 1e-14 : 1e-6;
    EXPECT_EQ(y.scalar_type(), dtype);
    // Relative where values are large.
    EXPECT_LT(y.sub(wanted).abs().div(wanted.abs().add(1)).max().item<double>(), tolerance) << dtype;
    EXPECT_LT(x.grad().sub(wanted_x.grad()).abs().max().item<double>(), tolerance) << dtype;
    EXPECT_TRUE(residual.grad().equal(u.to(dtype))) << dtype;
  }
}

TEST(SiluAdd, GradientsMatchFiniteDifferences) {
  ExpectGradientsMatch(
      [](const std::vector<at::Tensor>& in) { return SiluAdd(in[0], in[1]); },
      {TensorOf(TestNumbers<double>(15, 1), {5, 3}).mul(4), TensorOf(TestNumbers<double>(15, 2), {5, 3})});
}

TEST(SiluAdd, RowsThatDoNotLieTogether) {
  const at::Tensor x = TensorOf(TestNumbers<double>(15, 1), {3, 5}).t().requires_grad_();
  const at::Tensor residual = TensorOf(TestNumbers<double>(30, 2), {5, 6}).narrow(1, 2, 3);
  const at::Tensor u = TensorOf(TestNumbers<double>(15, 3), {3, 5}).t();
  const at::Tensor y = SiluAdd(x, residual);
  EXPECT_LT(y.sub(at::silu(x).add(residual)).abs().max().item<double>(), 1e-14);
  const at::Tensor dense = x.detach().contiguous().requires_grad_();
  y.mul(u).sum().backward();
  SiluAdd(dense, residual).mul(u).sum().backward();
  EXPECT_TRUE(x.grad().equal(dense.grad()));
}

TEST(SiluAdd, SameBitsForAnyNumberOfThreads) {
  ExpectSameBitsForAnyThreads([] {
    const at::Tensor x = TensorOf(TestNumbers<float>(100000, 1), {20000, 5}).requires_grad_();
    const at::Tensor y = SiluAdd(x, TensorOf(TestNumbers<float>(100000, 2), {20000, 5}));
    y.square().sum().backward();
    return std::vector<at::Tensor>{y, x.grad()};
  });
}

TEST(SiluAdd, NotANumberStaysVisible) {
  const at::Tensor x = at::full({3, 5}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(SiluAdd(x, at::zeros({3, 5})).isnan().all().item<bool>());
}

TEST(SiluAdd, NothingAndWrongArguments) {
  const at::Tensor x = at::empty({0, 6}).requires_grad_();
  const at::Tensor y = SiluAdd(x, at::empty({0, 6}));
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 6}));
  y.sum().backward();
  EXPECT_EQ(x.grad().sizes(), at::IntArrayRef({0, 6}));

  EXPECT_THROW(SiluAdd(at::zeros({2, 6}), at::zeros({2, 5})), c10::Error);
  EXPECT_THROW(SiluAdd(at::zeros({2, 6}), at::zeros({1, 6})), c10::Error);
  EXPECT_THROW(SiluAdd(at::zeros({2, 6}), at::zeros({2, 6}, at::kDouble)), c10::Error);
  EXPECT_THROW(SiluAdd(at::zeros({6}), at::zeros({6})), c10::Error);
  EXPECT_THROW(SiluAdd(at::zeros({2, 6}, at::kInt), at::zeros({2, 6}, at::kInt)), c10::Error);
}

}  // namespace
}  // namespace cubist
