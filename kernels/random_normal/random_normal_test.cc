#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/zeros.h"
#include "base/philox.h"
#include "gtest/gtest.h"
#include "kernels/random_normal/random_normal_torch.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

TEST(RandomNormal, ElementDependsOnDrawAndPlaceAlone) {
  const at::Tensor draws = TensorOf<int64_t>({7, 0, int64_t{1} << 40}, {3});
  const at::Tensor batch = RandomNormal({3, 2, 3, 5}, 42, RandomPurpose::kLatentNoise, draws, at::kDouble);
  const PhiloxKey key(42, RandomPurpose::kLatentNoise);
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t draw = draws.const_data_ptr<int64_t>()[b];
    for (int64_t i = 0; i < 30; ++i) {
      EXPECT_EQ(batch.const_data_ptr<double>()[b * 30 + i], PhiloxNormal(key, draw, i));
    }
  }
  // The same sample alone, in float, and under another purpose and seed.
  const at::Tensor alone = RandomNormal({1, 30}, 42, RandomPurpose::kLatentNoise, TensorOf<int64_t>({7}, {1}));
  EXPECT_EQ(alone.scalar_type(), at::kFloat);
  EXPECT_TRUE(alone.flatten().equal(batch[0].flatten().to(at::kFloat)));
  const at::Tensor draw = TensorOf<int64_t>({7}, {1});
  EXPECT_FALSE(alone.equal(RandomNormal({1, 30}, 42, RandomPurpose::kSynthesis, draw)));
  EXPECT_FALSE(alone.equal(RandomNormal({1, 30}, 43, RandomPurpose::kLatentNoise, draw)));
}

TEST(RandomNormal, MomentsOfManyNumbers) {
  const int64_t count = 200000;
  const at::Tensor x =
      RandomNormal({1, count}, 1, RandomPurpose::kLatentNoise, TensorOf<int64_t>({3}, {1}), at::kDouble);
  // Five standard errors: of the mean 1 / sqrt(n), of the variance sqrt(2 / n), of the kurtosis sqrt(96 / n).
  EXPECT_NEAR(x.mean().item().toDouble(), 0.0, 0.0112);
  EXPECT_NEAR(x.square().mean().item().toDouble(), 1.0, 0.0159);
  EXPECT_NEAR(x.pow(4).mean().item().toDouble(), 3.0, 0.11);
}

TEST(RandomNormal, SameBitsForAnyNumberOfThreads) {
  ExpectSameBitsForAnyThreads([] {
    const at::Tensor weight = at::empty({70, 500});
    FillUniform(weight, 3, 9, 0.25);
    return std::vector<at::Tensor>{
        RandomNormal({2, 30000}, 1, RandomPurpose::kLatentNoise, TensorOf<int64_t>({3, 4}, {2})), weight};
  });
}

TEST(RandomNormal, EmptyShapesAndWrongArguments) {
  const at::Tensor none = at::empty({0}, at::kLong), one = TensorOf<int64_t>({1}, {1});
  EXPECT_EQ(RandomNormal({0, 4}, 1, RandomPurpose::kLatentNoise, none).sizes(), at::IntArrayRef({0, 4}));
  EXPECT_EQ(RandomNormal({1, 0}, 1, RandomPurpose::kLatentNoise, one).numel(), 0);
  EXPECT_THROW(RandomNormal({2, 4}, 1, RandomPurpose::kLatentNoise, one), c10::Error);
  EXPECT_THROW(RandomNormal({}, 1, RandomPurpose::kLatentNoise, one), c10::Error);
  EXPECT_THROW(RandomNormal({1, 4}, 1, RandomPurpose::kLatentNoise, one, at::kInt), c10::Error);
  EXPECT_THROW(RandomNormal({1, 4}, 1, RandomPurpose::kLatentNoise, TensorOf<int64_t>({-1}, {1})), c10::Error);
}

TEST(FillUniform, StaysInBoundsAndFillsThem) {
  const at::Tensor weight = at::zeros({40, 50});
  FillUniform(weight, 3, 9, 0.25);
  EXPECT_GE(weight.min().item().toDouble(), -0.25);
  EXPECT_LE(weight.max().item().toDouble(), 0.25);
  EXPECT_LT(weight.min().item().toDouble(), -0.24);
  EXPECT_GT(weight.max().item().toDouble(), 0.24);
  EXPECT_NEAR(weight.mean().item().toDouble(), 0.0, 0.02);
  const PhiloxKey key(3, RandomPurpose::kParameterInit);
  EXPECT_EQ(weight.const_data_ptr<float>()[77], static_cast<float>(-0.25 + 0.5 * PhiloxUniform(key, 9, 77)));

  const at::Tensor other = at::zeros({40, 50});
  FillUniform(other, 3, 10, 0.25);
  EXPECT_FALSE(other.equal(weight));
}

TEST(FillNormal, IsScaledAndRefusesWhatItCannotFill) {
  const at::Tensor weight = at::zeros({2000}, at::kDouble);
  FillNormal(weight, 3, 9, 0.5);
  EXPECT_EQ(weight.const_data_ptr<double>()[5], 0.5 * PhiloxNormal(PhiloxKey(3, RandomPurpose::kParameterInit), 9, 5));
  EXPECT_NEAR(weight.square().mean().item().toDouble(), 0.25, 0.04);
  EXPECT_THROW(FillNormal(at::zeros({4, 5}).t(), 1, 1, 1.0), c10::Error);
  EXPECT_THROW(FillNormal(at::zeros({4}, at::kLong), 1, 1, 1.0), c10::Error);
  EXPECT_THROW(FillUniform(at::Tensor(), 1, 1, 1.0), c10::Error);
}

}  // namespace
}  // namespace cubist
