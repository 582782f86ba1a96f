#include <cmath>
#include <optional>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/latent_sample/latent_sample_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

TEST(LatentSample, MatchesTensorArithmetic) {
  const int64_t cells = 3001, channels = 5;
  const at::Tensor moments = TensorOf(TestNumbers<double>(cells * 2 * channels, 1), {cells, 2 * channels}).mul(3);
  const at::Tensor noise = TensorOf(TestNumbers<double>(cells * channels, 2), {cells, channels});
  const at::Tensor mean = moments.narrow(1, 0, channels), log_variance = moments.narrow(1, channels, channels);
  const auto [z, divergence] = LatentSample(moments, noise);
  EXPECT_LT(z.sub(mean.add(log_variance.mul(0.5).exp().mul(noise))).abs().max().item<double>(), 1e-14);
  const at::Tensor wanted = log_variance.exp().add(mean.square()).sub(1).sub(log_variance).sum(1).mul(0.5);
  EXPECT_LT(divergence.sub(wanted).abs().max().item<double>(), 1e-13);

  const auto [of_mean, same_divergence] = LatentSample(moments, std::nullopt);
  EXPECT_TRUE(of_mean.equal(mean));
  EXPECT_TRUE(same_divergence.equal(divergence));
}

TEST(LatentSample, GradientsMatchFiniteDifferences) {
  const at::Tensor noise = TensorOf(TestNumbers<double>(12, 2), {4, 3});
  const at::Tensor moments = TensorOf(TestNumbers<double>(24, 1), {4, 6});
  for (const std::optional<at::Tensor>& used : {std::optional<at::Tensor>(noise), std::optional<at::Tensor>()}) {
    ExpectGradientsMatch(
        [&](const std::vector<at::Tensor>& in) {
          const auto [z, divergence] = LatentSample(in[0], used);
          return at::cat({z.flatten(), divergence});
        },
        {moments});
  }
  // Of one result alone.
  ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return LatentSample(in[0], noise).second; }, {moments});
  ExpectGradientsMatch([&](const std::vector<at::Tensor>& in) { return LatentSample(in[0], noise).first; }, {moments});
}

TEST(LatentSample, SameBitsForAnyNumberOfThreads) {
  const at::Tensor noise = TensorOf(TestNumbers<float>(40000, 2), {5000, 8});
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor moments = TensorOf(TestNumbers<float>(80000, 1), {5000, 16}).requires_grad_();
    const auto [z, divergence] = LatentSample(moments, noise);
    z.sum().add(divergence.sum()).backward();
    return std::vector<at::Tensor>{z, divergence, moments.grad()};
  });
}

TEST(LatentSample, NoCellsAndWrongArguments) {
  const at::Tensor moments = at::empty({0, 6}).requires_grad_();
  const auto [z, divergence] = LatentSample(moments, at::empty({0, 3}));
  EXPECT_EQ(z.sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(divergence.sizes(), at::IntArrayRef({0}));
  z.sum().add(divergence.sum()).backward();
  EXPECT_EQ(moments.grad().sizes(), at::IntArrayRef({0, 6}));

  EXPECT_THROW(LatentSample(at::zeros({2, 5}), std::nullopt), c10::Error);
  EXPECT_THROW(LatentSample(at::zeros({2, 6}), at::zeros({2, 6})), c10::Error);
  EXPECT_THROW(LatentSample(at::zeros({2, 6}), at::zeros({2, 3}, at::kDouble)), c10::Error);
  EXPECT_THROW(LatentSample(at::zeros({6}), std::nullopt), c10::Error);
}

}  // namespace
}  // namespace cubist
