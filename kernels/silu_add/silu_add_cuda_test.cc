#include <limits>
#include <tuple>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/silu_add/silu_add_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

struct Results {
  at::Tensor y, dx, dresidual;
};

Results All(const at::Tensor& x_in, const at::Tensor& residual_in, const at::Tensor& dy) {
  const at::Tensor x = x_in.detach().requires_grad_(), residual = residual_in.detach().requires_grad_();
  const at::Tensor y = SiluAdd(x, residual);
  y.backward(dy);
  return {y.detach(), x.grad(), residual.grad()};
}

class SiluAddCuda : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, at::ScalarType>> {};

TEST_P(SiluAddCuda, MatchesTheHost) {
  const auto [rows, channels, dtype] = GetParam();
  const auto numbers = [&, rows = rows, channels = channels, dtype = dtype](uint32_t seed) {
    return TensorOf(TestNumbers<float>(rows * channels, seed), {rows, channels}).mul(8).to(dtype);
  };
  const at::Tensor x = numbers(1), residual = numbers(2), dy = numbers(3);
  const auto on_host = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
  const Results wanted = All(on_host(x), on_host(residual), on_host(dy));
  Results first;
  for (int run = 0; run < 2; ++run) {
    const PoisonedMemory poisoned;
    const at::Tensor gpu_dy = dy.to(at::kCUDA);
    const Results got = All(x.to(at::kCUDA), residual.to(at::kCUDA), gpu_dy);
    const double tolerance = dtype == at::kFloat ? 1e-6 : 4e-3;
    EXPECT_EQ(got.y.scalar_type(), dtype);
    EXPECT_LT(RelativeError(got.y, wanted.y), tolerance);
    EXPECT_LT(RelativeError(got.dx, wanted.dx), tolerance);
    EXPECT_TRUE(SameBits(got.dresidual, gpu_dy));
    if (run == 0) first = got;
    EXPECT_TRUE(SameBits(got.y, first.y));
    EXPECT_TRUE(SameBits(got.dx, first.dx));
  }
}

// Whole blocks, part of one, sizes that are no multiple of a pack.
INSTANTIATE_TEST_SUITE_P(Sizes, SiluAddCuda,
                         ::testing::Combine(::testing::Values(1, 129, 20011), ::testing::Values(1, 3, 8, 64),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

TEST(SiluAddCuda, UnalignedTensors) {
  const at::Tensor storage = TensorOf(TestNumbers<float>(3 * 6401, 1), {3 * 6401}).to(at::kBFloat16).to(at::kCUDA);
  const auto part = [&](int k) { return storage.narrow(0, 6401 * k + 1, 6400).view({100, 64}); };
  const Results unaligned = All(part(0), part(1), part(2)),
                aligned = All(part(0).clone(), part(1).clone(), part(2).clone());
  EXPECT_TRUE(SameBits(unaligned.y, aligned.y));
  EXPECT_TRUE(SameBits(unaligned.dx, aligned.dx));
}

TEST(SiluAddCuda, ValuesFarFromZero) {
  const at::Tensor x = TensorOf(std::vector<float>{-1e30f, -1e4f, -88.0f, -20.0f, 20.0f, 88.0f, 1e4f, 1e30f}, {1, 8});
  const at::Tensor zeros = at::zeros({1, 8}), ones = at::full({1, 8}, 1.0);
  const Results got = All(x.to(at::kCUDA), zeros.to(at::kCUDA), ones.to(at::kCUDA));
  const at::Tensor wanted =
      TensorOf(std::vector<double>{0, 0, 0, -20 / (1 + 4.8516519541e8), 20, 88, 1e4, 1e30}, {1, 8});
  EXPECT_LT(got.y.cpu().to(at::kDouble).sub(wanted).abs().div(wanted.abs().add(1)).max().item<double>(), 1e-6);
  const at::Tensor slopes = TensorOf(std::vector<double>{0, 0, 0, 0, 1, 1, 1, 1}, {1, 8});
  EXPECT_LT(got.dx.cpu().to(at::kDouble).sub(slopes).abs().max().item<double>(), 1e-6);
  const at::Tensor nan = at::full({1, 8}, std::numeric_limits<float>::quiet_NaN()).to(at::kCUDA);
  EXPECT_TRUE(SiluAdd(nan, zeros.to(at::kCUDA)).isnan().all().item<bool>());
}

TEST(SiluAddCuda, NothingAndWrongArguments) {
  const at::Tensor x = at::empty({0, 6}, at::kCUDA).requires_grad_();
  SiluAdd(x, at::empty({0, 6}, at::kCUDA)).sum().backward();
  EXPECT_EQ(x.grad().sizes(), at::IntArrayRef({0, 6}));
  EXPECT_THROW(SiluAdd(at::zeros({2, 6}, at::kCUDA), at::zeros({2, 6})), c10::Error);
}

}  // namespace
}  // namespace cubist
