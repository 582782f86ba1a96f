#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/adamw/adamw_torch.h"
#include "kernels/adamw/schedule.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

at::Tensor Flag(bool value) { return value ? at::ones({1}, at::kBool) : at::zeros({1}, at::kBool); }

// The recipe of the voxel VAE: batch 1, 8 micro-batches, times 0.7 each 50,000 samples, at least 1e-6.
TEST(Schedule, LearningRateOfTheVoxelVae) {
  const LearningRateSchedule schedule = {1e-4, 0.7, 50000, 8, 1e-6};
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 0), 1e-4);
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 6249), 1e-4);
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 6250), 7e-5);
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 12500), 4.9e-5);
  EXPECT_NEAR(LearningRateAt(schedule, 75000), 1.384e-6, 5e-10);
  EXPECT_GT(LearningRateAt(schedule, 81249), 1.3e-6);
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 81250), 1e-6);
  EXPECT_DOUBLE_EQ(LearningRateAt(schedule, 10000000), 1e-6);
  const LearningRateSchedule constant = {5e-5, 1.0, 2e9, 1, 1e-6};
  EXPECT_DOUBLE_EQ(LearningRateAt(constant, 123456), 5e-5);
}

TEST(Schedule, DecayOfTheMovingAverage) {
  EXPECT_NEAR(EmaDecayAt(0.9999, 1), 0.1818, 5e-5);
  EXPECT_DOUBLE_EQ(EmaDecayAt(0.9999, 10), 0.55);
  EXPECT_NEAR(EmaDecayAt(0.9999, 1000), 0.99109, 5e-6);
  EXPECT_LT(EmaDecayAt(0.9999, 89900), 0.9999);
  EXPECT_NEAR(EmaDecayAt(0.9999, 89990), 0.9999, 1e-12);
  EXPECT_DOUBLE_EQ(EmaDecayAt(0.9999, 1000000), 0.9999);
}

// Two elements over six steps against the formula, step by step in long double. Gradients shrink, so that
// the maximum of the second moments and the moments themselves part.
TEST(Adamw, MatchesTheFormula) {
  for (const bool amsgrad : {true, false}) {
    AdamwOptions options;
    options.weight_decay = 0.1;
    options.amsgrad = amsgrad;
    const LearningRateSchedule schedule = {1e-2, 0.5, 24, 8, 3e-3};
    const at::Tensor parameter = TensorOf<double>({1.0, -2.0}, {2}), m = at::zeros({2}, at::kDouble);
    const at::Tensor v = at::zeros({2}, at::kDouble), vmax = at::zeros({2}, at::kDouble);
    const at::Tensor ema = parameter.clone(), step = at::zeros({1}, at::kLong);
    long double p[2] = {1.0L, -2.0L}, first[2] = {}, second[2] = {}, largest[2] = {}, shadow[2] = {1.0L, -2.0L};
    const long double rates[6] = {1e-2L, 1e-2L, 1e-2L, 5e-3L, 5e-3L, 5e-3L};
    bool parted = false;
    for (int t = 1; t <= 6; ++t) {
      const double g[2] = {3.0 * std::pow(-0.01, t - 1), 0.02 * t};
      AdamwStep(parameter, TensorOf<double>({g[0], g[1]}, {2}), m, v, vmax, ema, step, Flag(true), options, schedule,
                0.9999);
      for (int i = 0; i < 2; ++i) {
        first[i] = 0.9L * first[i] + 0.1L * g[i];
        second[i] = 0.999L * second[i] + 0.001L * g[i] * g[i];
        largest[i] = amsgrad ? std::max(largest[i], second[i]) : second[i];
        parted = parted || largest[i] != second[i];
        const long double denominator = std::sqrt(largest[i]) / std::sqrt(1 - std::pow(0.999L, t)) + 1e-8L;
        p[i] -= rates[t - 1] * 0.1L * p[i];
        p[i] -= rates[t - 1] / (1 - std::pow(0.9L, t)) * first[i] / denominator;
        shadow[i] += (1 - (1.0L + t) / (10.0L + t)) * (p[i] - shadow[i]);
        EXPECT_NEAR(parameter.const_data_ptr<double>()[i], static_cast<double>(p[i]), 1e-13) << t;
        EXPECT_NEAR(m.const_data_ptr<double>()[i], static_cast<double>(first[i]), 1e-14);
        EXPECT_NEAR(v.const_data_ptr<double>()[i], static_cast<double>(second[i]), 1e-14);
        EXPECT_NEAR(vmax.const_data_ptr<double>()[i], amsgrad ? static_cast<double>(largest[i]) : 0.0, 1e-14);
        EXPECT_NEAR(ema.const_data_ptr<double>()[i], static_cast<double>(shadow[i]), 1e-13);
      }
      EXPECT_EQ(step.item().toLong(), t);
    }
    EXPECT_EQ(parted, amsgrad);
  }
}

// Many float elements against tensor arithmetic in double.
TEST(Adamw, MatchesTensorArithmetic) {
  const int64_t size = 40001;
  const LearningRateSchedule schedule = {1e-3, 1.0, 1, 1, 0};
  const at::Tensor parameter = TensorOf(TestNumbers<float>(size, 1), {size}), m = at::zeros({size});
  const at::Tensor v = at::zeros({size}), vmax = at::zeros({size}), step = at::zeros({1}, at::kLong);
  at::Tensor p = parameter.to(at::kDouble), first = at::zeros({size}, at::kDouble);
  at::Tensor second = at::zeros({size}, at::kDouble), largest = at::zeros({size}, at::kDouble);
  for (int t = 1; t <= 4; ++t) {
    const at::Tensor gradient = TensorOf(TestNumbers<float>(size, 10 + t), {size});
    AdamwStep(parameter, gradient, m, v, vmax, std::nullopt, step, Flag(true), {}, schedule);
    const at::Tensor g = gradient.to(at::kDouble);
    first = first.mul(0.9).add(g, 0.1);
    second = second.mul(0.999).add(g.square(), 0.001);
    largest = largest.maximum(second);
    p = p.sub(first.div(largest.sqrt().div(std::sqrt(1 - std::pow(0.999, t))).add(1e-8)),
              1e-3 / (1 - std::pow(0.9, t)));
  }
  EXPECT_LT(parameter.to(at::kDouble).sub(p).abs().max().item().toDouble(), 1e-6);
  EXPECT_LT(vmax.to(at::kDouble).sub(largest).abs().max().item().toDouble(), 1e-9);
}

TEST(Adamw, ChangesNothingWhenThePredicateIsFalse) {
  const int64_t size = 33;
  std::vector<at::Tensor> state;
  for (int k = 0; k < 5; ++k) state.push_back(TensorOf(TestNumbers<float>(size, k + 1), {size}).abs());
  state.push_back(at::ones({size}, at::kBFloat16));
  state[0].mutable_data_ptr<float>()[3] = -0.0f;
  const at::Tensor step = TensorOf<int64_t>({17}, {1});
  at::Tensor gradient = at::ones({size});
  gradient.mutable_data_ptr<float>()[7] = kNan;
  std::vector<at::Tensor> before;
  for (const at::Tensor& tensor : state) before.push_back(tensor.clone());
  const auto apply = [&](bool flag) {
    AdamwStep(state[0], gradient, state[1], state[2], state[3], state[4], step, Flag(flag), {}, {}, 0.999, state[5]);
  };
  apply(false);
  for (int k = 0; k < 6; ++k) {
    EXPECT_EQ(std::memcmp(state[k].const_data_ptr(), before[k].const_data_ptr(), before[k].nbytes()), 0) << k;
  }
  EXPECT_EQ(step.item().toLong(), 17);
  // With the predicate true the same call does change all of them.
  apply(true);
  for (int k = 0; k < 6; ++k) EXPECT_FALSE(state[k].equal(before[k])) << k;
  EXPECT_EQ(step.item().toLong(), 18);
}

// The step clamps as ClampGradient does and writes the copy that a conversion would.
TEST(Adamw, ClipsAndCopiesInTheSamePass) {
  const int64_t size = 40001;
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor gradient = TensorOf(TestNumbers<float>(size, 2), {size}).to(dtype);
    gradient[7] = kInfinity;
    const at::Tensor clamped = gradient.clone();
    ClampGradient(clamped, 0.25);
    const at::Tensor copy = at::ones({size}, at::kBFloat16);
    std::vector<at::Tensor> states[2];
    for (const bool fused : {false, true}) {
      AdamwOptions options;
      options.clip_value = fused ? 0.25 : 0.0;
      for (int k = 0; k < 5; ++k) {
        states[fused].push_back(TensorOf(TestNumbers<float>(size, k + 3), {size}).to(dtype).abs());
      }
      const std::vector<at::Tensor>& s = states[fused];
      AdamwStep(s[0], fused ? gradient : clamped, s[1], s[2], s[3], s[4], TensorOf<int64_t>({4}, {1}), Flag(true),
                options, {}, 0.9, fused ? std::optional<at::Tensor>(copy) : std::nullopt);
    }
    for (int k = 0; k < 5; ++k) EXPECT_TRUE(states[0][k].equal(states[1][k])) << k;
    EXPECT_TRUE(copy.equal(states[1][0].to(at::kFloat).to(at::kBFloat16)));
    EXPECT_TRUE(std::isinf(gradient[7].item().toDouble())) << "the gradient itself stays as it is";
  }
}

// Halfway cases go to the even neighbour, and what is above the largest bfloat16 to infinity.
TEST(Adamw, CopyIsRoundedToTheNearest) {
  const std::vector<float> values = {1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, -1.0f - 0x1p-8f, 1.0f + 0x1.8p-8f,
                                     3.4e38f,        0x1p-130f,          -0.0f,           kNan};
  const std::vector<float> wanted = {1.0f, 1.0f + 0x1p-6f, -1.0f, 1.0f + 0x1p-7f, kInfinity, 0x1p-130f, -0.0f};
  const int64_t size = static_cast<int64_t>(values.size());
  const at::Tensor parameter = TensorOf(values, {size}), zeros = at::zeros({size});
  const at::Tensor copy = at::ones({size}, at::kBFloat16);
  AdamwStep(parameter, zeros, zeros.clone(), zeros.clone(), zeros.clone(), std::nullopt, at::zeros({1}, at::kLong),
            Flag(true), {}, {}, 0.0, copy);
  const at::Tensor got = copy.to(at::kFloat);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(got.const_data_ptr<float>()[i], wanted[i]) << i;
    EXPECT_EQ(std::signbit(got.const_data_ptr<float>()[i]), std::signbit(wanted[i])) << i;
  }
  EXPECT_TRUE(std::isnan(got.const_data_ptr<float>()[7]));
}

TEST(Gradient, FiniteAndNorm) {
  const int64_t size = 50003;
  const std::vector<float> values = TestNumbers<float>(size, 1);
  long double sum = 0;
  for (const float value : values) sum += static_cast<long double>(value) * value;
  const at::Tensor norm = at::zeros({1}, at::kDouble), norm_float = at::zeros({1}), finite = Flag(false);
  GradientFiniteAndNorm(TensorOf(values, {size}), norm, finite);
  EXPECT_NEAR(norm.item().toDouble(), static_cast<double>(std::sqrt(sum)), 1e-9);
  EXPECT_TRUE(finite.item().toBool());
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (const int64_t place : {int64_t{0}, int64_t{20000}, size - 1}) {
      std::vector<float> damaged = values;
      damaged[place] = bad;
      GradientFiniteAndNorm(TensorOf(damaged, {size}), norm_float, finite);
      EXPECT_FALSE(finite.item().toBool()) << bad << " at " << place;
      EXPECT_FALSE(std::isfinite(norm_float.item().toFloat()));
    }
  }
  // Squares of these do not fit a float.
  GradientFiniteAndNorm(TensorOf<float>({3e30f, 4e30f}, {2}), norm, finite);
  EXPECT_NEAR(norm.item().toDouble() / 5e30, 1.0, 1e-6);
  EXPECT_TRUE(finite.item().toBool());
  GradientFiniteAndNorm(at::empty({0}), norm, finite);
  EXPECT_EQ(norm.item().toDouble(), 0.0);
  EXPECT_TRUE(finite.item().toBool());
}

TEST(Gradient, ClampAndScale) {
  const at::Tensor gradient = TensorOf<float>({0.4f, -0.6f, kNan, kInfinity, -kInfinity, 0.5f}, {6});
  ClampGradient(gradient, 0.5);
  EXPECT_TRUE(std::isnan(gradient.const_data_ptr<float>()[2]));
  gradient.mutable_data_ptr<float>()[2] = 0.0f;
  EXPECT_TRUE(gradient.equal(TensorOf<float>({0.4f, -0.5f, 0.0f, 0.5f, -0.5f, 0.5f}, {6})));
  ScaleGradient(gradient, TensorOf<double>({0.25}, {1}));
  EXPECT_TRUE(gradient.equal(TensorOf<float>({0.1f, -0.125f, 0.0f, 0.125f, -0.125f, 0.125f}, {6})));
}

TEST(Adamw, SameBitsForAnyNumberOfThreads) {
  const int64_t size = 70001;
  ExpectSameBitsForAnyThreads([&] {
    const at::Tensor parameter = TensorOf(TestNumbers<float>(size, 1), {size}), m = at::zeros({size});
    const at::Tensor v = at::zeros({size}), vmax = at::zeros({size}), ema = parameter.clone();
    const at::Tensor step = at::zeros({1}, at::kLong), norm = at::zeros({1}, at::kDouble), finite = Flag(false);
    const at::Tensor gradient = TensorOf(TestNumbers<float>(size, 2), {size});
    GradientFiniteAndNorm(gradient, norm, finite);
    ClampGradient(gradient, 0.5);
    AdamwStep(parameter, gradient, m, v, vmax, ema, step, finite, {}, {}, 0.9);
    return std::vector<at::Tensor>{parameter, m, v, vmax, ema, norm};
  });
}

TEST(Adamw, NoElementsAndWrongArguments) {
  const at::Tensor none = at::empty({0}), step = at::zeros({1}, at::kLong), two = at::zeros({2});
  AdamwStep(none, none, none, none, none, std::nullopt, step, Flag(true), {}, {});
  EXPECT_EQ(step.item().toLong(), 1);
  AdamwOptions plain;
  plain.amsgrad = false;
  AdamwStep(two, two.clone(), two.clone(), two.clone(), at::Tensor(), std::nullopt, step, Flag(true), plain, {});
  EXPECT_EQ(step.item().toLong(), 2);
  const auto call = [&](const at::Tensor& p, const at::Tensor& g, const at::Tensor& vmax, const at::Tensor& count) {
    AdamwStep(p, g, two.clone(), two.clone(), vmax, std::nullopt, count, Flag(true), {}, {});
  };
  EXPECT_THROW(call(two, at::zeros({3}), two.clone(), step), c10::Error);
  EXPECT_THROW(call(two, at::zeros({2}, at::kDouble), two.clone(), step), c10::Error);
  EXPECT_THROW(call(two, two.clone(), at::Tensor(), step), c10::Error);
  EXPECT_THROW(call(two, two.clone(), two.clone(), at::zeros({1})), c10::Error);
  EXPECT_THROW(call(at::zeros({4}).slice(0, 0, 4, 2), two.clone(), two.clone(), step), c10::Error);
  AdamwOptions negative;
  negative.clip_value = -1;
  const auto step_with = [&](const AdamwOptions& options, const at::Tensor& copy) {
    AdamwStep(two, two.clone(), two.clone(), two.clone(), two.clone(), std::nullopt, step, Flag(true), options, {}, 0.0,
              copy);
  };
  EXPECT_THROW(step_with(negative, two.to(at::kBFloat16)), c10::Error);
  EXPECT_THROW(step_with({}, two.clone()), c10::Error);
  EXPECT_THROW(step_with({}, at::zeros({3}, at::kBFloat16)), c10::Error);
  EXPECT_THROW(ClampGradient(two, -1.0), c10::Error);
  EXPECT_THROW(ScaleGradient(two, at::zeros({2}, at::kDouble)), c10::Error);
  EXPECT_THROW(ScaleGradient(two, at::zeros({1})), c10::Error);
}

}  // namespace
}  // namespace cubist
