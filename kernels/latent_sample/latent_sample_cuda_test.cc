#include <optional>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/latent_sample/latent_sample_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

struct Case {
  int64_t cells, channels;
  bool noise;
};

class LatentSampleCuda : public ::testing::TestWithParam<Case> {};

TEST_P(LatentSampleCuda, MatchesTheHost) {
  const auto [cells, channels, with_noise] = GetParam();
  const at::Tensor noise = TensorOf(TestNumbers<float>(cells * channels, 1), {cells, channels}).mul(2);
  const at::Tensor u = TensorOf(TestNumbers<float>(cells, 2), {cells});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor moments =
        TensorOf(TestNumbers<float>(cells * 2 * channels, 3), {cells, 2 * channels}).mul(3).to(dtype);
    const at::Tensor dz = TensorOf(TestNumbers<float>(cells * channels, 4), {cells, channels}).to(dtype);
    const at::Tensor x = moments.to(at::kDouble).requires_grad_();
    const auto host = LatentSample(x, with_noise ? std::optional<at::Tensor>(noise.to(at::kDouble)) : std::nullopt);
    host.first.mul(dz.to(at::kDouble)).sum().add(host.second.mul(u.to(at::kDouble)).sum()).backward();
    at::Tensor first;
    for (int run = 0; run < 2; ++run) {
      const PoisonedMemory poisoned;
      const at::Tensor gpu_x = moments.to(at::kCUDA).requires_grad_();
      const auto gpu = LatentSample(gpu_x, with_noise ? std::optional<at::Tensor>(noise.to(at::kCUDA)) : std::nullopt);
      gpu.first.mul(dz.to(at::kCUDA)).sum().add(gpu.second.mul(u.to(at::kCUDA)).sum()).backward();
      EXPECT_EQ(gpu.first.scalar_type(), dtype);
      EXPECT_EQ(gpu.second.scalar_type(), at::kFloat);
      EXPECT_EQ(gpu_x.grad().scalar_type(), dtype);
      const double tolerance = dtype == at::kFloat ? 1e-6 : 4e-3;
      EXPECT_LT(RelativeError(gpu.first, host.first), tolerance);
      EXPECT_LT(RelativeError(gpu.second, host.second), 1e-6);
      EXPECT_LT(RelativeError(gpu_x.grad(), x.grad()), tolerance);
      if (run == 0) first = gpu_x.grad();
      EXPECT_TRUE(SameBits(gpu_x.grad(), first));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LatentSampleCuda,
                         ::testing::Values(Case{30011, 8, true}, Case{30011, 8, false}, Case{1001, 5, true},
                                           Case{1, 1, true}, Case{257, 12, true}));

TEST(LatentSampleCuda, NoCellsAndWrongArguments) {
  const at::Tensor moments = at::empty({0, 6}, at::kCUDA).requires_grad_();
  const auto [z, divergence] = LatentSample(moments, at::empty({0, 3}, at::kCUDA));
  EXPECT_EQ(z.sizes(), at::IntArrayRef({0, 3}));
  z.sum().add(divergence.sum()).backward();
  EXPECT_EQ(moments.grad().sizes(), at::IntArrayRef({0, 6}));
  EXPECT_THROW(LatentSample(at::zeros({2, 6}, at::kCUDA), at::zeros({2, 3})), c10::Error);
}

}  // namespace
}  // namespace cubist
