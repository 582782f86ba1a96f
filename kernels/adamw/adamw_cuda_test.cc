// On a GPU: the same bits as on the CPU. Both multiply and add apart (the GPU's code is compiled without fused
// multiply-add), divide and take roots to the nearest, and get a step's factors from the same double arithmetic.
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/adamw/adamw_torch.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

at::Tensor Flag(bool value, at::Device device) {
  return at::full({1}, value, at::TensorOptions(at::kBool).device(device));
}

// What a step reads and writes: parameter, moments, largest, average, copy, step. With `shift`, every array begins at
// an address that is no multiple of 16.
std::vector<at::Tensor> State(int64_t size, bool shift, at::Device device) {
  std::vector<at::Tensor> state;
  const int64_t first = shift ? 1 : 0;
  for (uint32_t k = 0; k < 5; ++k) {
    const at::Tensor values = TensorOf(TestNumbers<float>(size + first, k + 1), {size + first});
    state.push_back((k == 2 || k == 3 ? values.abs() : values).to(device).slice(0, first));
  }
  state.push_back(at::full({size + first}, 9, at::TensorOptions(at::kBFloat16).device(device)).slice(0, first));
  state.push_back(TensorOf<int64_t>({0}, {1}).to(device));
  return state;
}

struct Variant {
  bool amsgrad, ema, copy, clip, shift;
};

void Step(std::vector<at::Tensor>& state, const at::Tensor& gradient, bool predicate, const Variant& variant) {
  AdamwOptions options;
  options.amsgrad = variant.amsgrad;
  options.weight_decay = 0.01;
  options.clip_value = variant.clip ? 0.5 : 0.0;
  const LearningRateSchedule schedule = {1e-3, 0.7, 16, 8, 1e-6};
  AdamwStep(state[0], gradient, state[1], state[2], state[3],
            variant.ema ? std::optional<at::Tensor>(state[4]) : std::nullopt, state[6],
            Flag(predicate, gradient.device()), options, schedule, 0.9999,
            variant.copy ? std::optional<at::Tensor>(state[5]) : std::nullopt);
}

TEST(AdamwCuda, SameBitsAsTheHost) {
  for (const int64_t size : {0, 1, 3, 4, 1027, 100003}) {
    for (int bits = 0; bits < 32; ++bits) {
      const Variant variant = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0};
      std::vector<at::Tensor> host = State(size, variant.shift, at::kCPU);
      std::vector<at::Tensor> device = State(size, variant.shift, at::kCUDA);
      for (uint32_t t = 0; t < 5; ++t) {
        const at::Tensor gradient = TensorOf(TestNumbers<float>(size, 20 + t), {size});
        // On from a late step, too.
        if (t == 3) {
          host[6].fill_(70000);
          device[6].fill_(70000);
        }
        Step(host, gradient, true, variant);
        Step(device, gradient.to(at::kCUDA), true, variant);
      }
      for (size_t k = 0; k < host.size(); ++k) {
        const at::Tensor difference = device[k].cpu().to(at::kDouble).sub(host[k].to(at::kDouble)).abs();
        EXPECT_TRUE(difference.le(host[k].to(at::kDouble).abs().mul(1e-6)).all().item<bool>()) << k;
        EXPECT_TRUE(SameBits(device[k], host[k])) << "array " << k << ", size " << size << ", variant " << bits << ": "
                                                  << difference.ne(0).sum().item<int64_t>() << " differ";
      }
    }
  }
}

TEST(AdamwCuda, FalsePredicateWritesNothing) {
  const Variant variant = {true, true, true, true, false};
  std::vector<at::Tensor> state = State(1027, false, at::kCUDA), before;
  for (const at::Tensor& tensor : state) before.push_back(tensor.clone());
  const at::Tensor gradient = at::full({1027}, kNan, at::kCUDA);
  Step(state, gradient, false, variant);
  for (size_t k = 0; k < state.size(); ++k) EXPECT_TRUE(SameBits(state[k], before[k])) << k;
  Step(state, gradient.fill_(0.5), true, variant);
  for (size_t k = 0; k < state.size(); ++k) EXPECT_FALSE(SameBits(state[k], before[k])) << k;
}

TEST(GradientCuda, FiniteAndNorm) {
  for (const int64_t size : {0, 1, 5, 50003, 4400001}) {
    for (const int64_t first : {0, 1}) {
      const at::Tensor host = TensorOf(TestNumbers<float>(size + first, 1), {size + first}).slice(0, first);
      const at::Tensor gradient =
          TensorOf(TestNumbers<float>(size + first, 1), {size + first}).to(at::kCUDA).slice(0, first);
      const at::Tensor wanted = at::zeros({1}, at::kDouble), wanted_finite = Flag(false, at::kCPU);
      GradientFiniteAndNorm(host, wanted, wanted_finite);
      const at::Tensor norm = at::full({1}, kNan, at::TensorOptions(at::kDouble).device(at::kCUDA));
      const at::Tensor single = at::full({1}, kNan, at::kCUDA), finite = Flag(false, at::kCUDA);
      const PoisonedMemory poisoned;
      GradientFiniteAndNorm(gradient, norm, finite);
      EXPECT_NEAR(norm.item<double>(), wanted.item<double>(), 1e-12 * wanted.item<double>()) << size;
      EXPECT_TRUE(finite.item<bool>());
      const double first_run = norm.item<double>();
      GradientFiniteAndNorm(gradient, norm, finite);
      EXPECT_EQ(norm.item<double>(), first_run) << "two runs differ";
      GradientFiniteAndNorm(gradient, single, finite);
      EXPECT_EQ(single.item<float>(), static_cast<float>(first_run));
      for (const float bad : {kNan, kInfinity, -kInfinity}) {
        for (const int64_t place : {int64_t{0}, size / 2, size - 1}) {
          if (size == 0) continue;
          at::Tensor damaged = gradient.clone();
          damaged[place].fill_(bad);
          GradientFiniteAndNorm(damaged, norm, finite);
          EXPECT_FALSE(finite.item<bool>()) << bad << " at " << place << " of " << size;
          EXPECT_FALSE(std::isfinite(norm.item<double>()));
        }
      }
    }
  }
  // Squares of these do not fit a float.
  const at::Tensor norm = at::zeros({1}, at::TensorOptions(at::kDouble).device(at::kCUDA)),
                   finite = Flag(false, at::kCUDA);
  GradientFiniteAndNorm(TensorOf<float>({3e30f, 4e30f}, {2}).to(at::kCUDA), norm, finite);
  EXPECT_NEAR(norm.item<double>() / 5e30, 1.0, 1e-6);
  EXPECT_TRUE(finite.item<bool>());
}

TEST(GradientCuda, ClampAndScale) {
  for (const int64_t first : {0, 1}) {
    std::vector<float> values = TestNumbers<float>(5003, 1);
    values[1] = kNan;
    values[2] = kInfinity;
    values[3] = -kInfinity;
    const at::Tensor host = TensorOf(values, {5003}).slice(0, first);
    const at::Tensor gradient = TensorOf(values, {5003}).to(at::kCUDA).slice(0, first);
    ClampGradient(host, 0.5);
    ClampGradient(gradient, 0.5);
    EXPECT_TRUE(SameBits(gradient, host));
    host.nan_to_num_(0);  // the bits of a product with NaN are the device's own
    gradient.nan_to_num_(0);
    const at::Tensor factor = TensorOf<double>({1.0 / 3}, {1});
    ScaleGradient(host, factor);
    ScaleGradient(gradient, factor.to(at::kCUDA));
    EXPECT_TRUE(SameBits(gradient, host));
  }
  ClampGradient(at::empty({0}, at::kCUDA), 1);
}

TEST(AdamwCuda, RefusesTensorsOfAnotherDeviceOrType) {
  const at::Tensor on_gpu = at::zeros({4}, at::kCUDA), norm = at::zeros({1}, at::kCUDA), finite = Flag(true, at::kCUDA);
  EXPECT_THROW(GradientFiniteAndNorm(on_gpu, norm.cpu(), finite), c10::Error);
  EXPECT_THROW(GradientFiniteAndNorm(on_gpu, norm, finite.cpu()), c10::Error);
  EXPECT_THROW(GradientFiniteAndNorm(on_gpu.to(at::kBFloat16), norm, finite), c10::Error);
  EXPECT_THROW(GradientFiniteAndNorm(on_gpu.to(at::kDouble), norm, finite), c10::Error);
  EXPECT_THROW(ScaleGradient(on_gpu, at::zeros({1}, at::kDouble)), c10::Error);
}

}  // namespace
}  // namespace cubist
