#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/random_normal/random_normal_torch.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

// Logarithm, cosine and root are worked out in double, to within two units of double's last place on either side: the
// floats that are left are equal or neighbours, and nearly always equal.
void ExpectNeighbors(const at::Tensor& gpu, const at::Tensor& host) {
  ASSERT_EQ(gpu.sizes(), host.sizes());
  const at::Tensor got = gpu.cpu();
  int64_t different = 0;
  for (int64_t i = 0; i < host.numel(); ++i) {
    const float a = got.const_data_ptr<float>()[i], b = host.const_data_ptr<float>()[i];
    ASSERT_TRUE(a == b || std::nextafterf(a, b) == b) << i << ": " << a << " and " << b;
    different += a != b;
  }
  EXPECT_LE(different, 1 + host.numel() / 100000);
  std::printf("%lld of %lld numbers differ in the last bit\n", static_cast<long long>(different),
              static_cast<long long>(host.numel()));
}

TEST(RandomNormalCuda, EqualsTheHost) {
  const at::Tensor draws = TensorOf<int64_t>({7, 0, int64_t{1} << 40}, {3});
  const auto numbers = [&](const at::Tensor& at_draws) {
    return RandomNormal({3, 5, 70001}, 42, RandomPurpose::kLatentNoise, at_draws);
  };
  const PoisonedMemory poisoned;
  const at::Tensor gpu = numbers(draws.to(at::kCUDA));
  EXPECT_TRUE(gpu.is_cuda());
  ExpectNeighbors(gpu, numbers(draws));
  EXPECT_TRUE(SameBits(gpu, numbers(draws.to(at::kCUDA))));
}

TEST(FillCuda, EqualsTheHost) {
  const at::Tensor host = at::zeros({300, 501}), gpu = at::zeros({300, 501}, at::kCUDA);
  FillUniform(host, 3, 9, 0.25);
  FillUniform(gpu, 3, 9, 0.25);
  EXPECT_TRUE(SameBits(gpu, host)) << "uniform numbers need no transcendental functions";
  FillNormal(host, 3, 10, 0.5);
  FillNormal(gpu, 3, 10, 0.5);
  ExpectNeighbors(gpu, host);
}

TEST(RandomNormalCuda, EmptyShapesAndWrongArguments) {
  const at::TensorOptions long_on_gpu = at::TensorOptions(at::kLong).device(at::kCUDA);
  const at::Tensor none = at::empty({0}, long_on_gpu), one = at::zeros({1}, long_on_gpu);
  EXPECT_EQ(RandomNormal({0, 4}, 1, RandomPurpose::kLatentNoise, none).sizes(), at::IntArrayRef({0, 4}));
  EXPECT_EQ(RandomNormal({1, 0}, 1, RandomPurpose::kLatentNoise, one).numel(), 0);
  EXPECT_THROW(RandomNormal({1, 4}, 1, RandomPurpose::kLatentNoise, one, at::kDouble), c10::Error);
  FillUniform(at::zeros({0}, at::kCUDA), 1, 2, 3);
  EXPECT_THROW(FillNormal(at::zeros({4, 5}, at::kCUDA).t(), 1, 1, 1.0), c10::Error);
  EXPECT_THROW(FillNormal(at::zeros({4}, long_on_gpu.dtype(at::kBFloat16)), 1, 1, 1.0), c10::Error);
}

}  // namespace
}  // namespace cubist
