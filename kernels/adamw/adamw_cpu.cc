#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/parallel_for.h"
#include "kernels/adamw/adamw.h"

namespace cubist {
namespace {

constexpr int64_t kBlock = 16384;

// To the nearest bfloat16, ties to even; NaN to NaN.
inline uint16_t RoundToBfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>(value != value ? 0x7FFF : rounded);
}

// NaN stays NaN: it compares false twice.
template <typename T>
inline T Clamp(T value, T limit) {
  return value > limit ? limit : (value < -limit ? -limit : value);
}

// __restrict__ because the arrays of a step never overlap; without it the loop is not vectorised.
template <typename T, bool kAmsgrad, bool kEma, bool kCopy>
void StepBlock(const AdamwFactors<T>& f, int64_t begin, int64_t end, T* __restrict__ parameter,
               const T* __restrict__ gradient, T* __restrict__ exp_avg, T* __restrict__ exp_avg_sq,
               T* __restrict__ max_exp_avg_sq, T* __restrict__ ema, uint16_t* __restrict__ bfloat16_copy) {
  for (int64_t i = begin; i < end; ++i) {
    const T g = Clamp(gradient[i], f.limit);
    const T m = f.beta1 * exp_avg[i] + f.rest1 * g;
    const T v = f.beta2 * exp_avg_sq[i] + f.rest2 * (g * g);
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    T second = v;
    if constexpr (kAmsgrad) {
      second = max_exp_avg_sq[i] > v ? max_exp_avg_sq[i] : v;
      max_exp_avg_sq[i] = second;
    }
    const T p = parameter[i] * f.keep - f.rate * (m / (std::sqrt(second) * f.root + f.epsilon));
    parameter[i] = p;
    if constexpr (kEma) ema[i] = ema[i] - f.ema_rest * (ema[i] - p);
    if constexpr (kCopy) bfloat16_copy[i] = RoundToBfloat16(static_cast<float>(p));
  }
}

template <typename T, bool kAmsgrad, bool kEma>
constexpr auto* StepBlockFor(bool copy) {
  return copy ? StepBlock<T, kAmsgrad, kEma, true> : StepBlock<T, kAmsgrad, kEma, false>;
}

}  // namespace

template <typename T>
void GradientFiniteAndNormCpu(View<const T, 1> gradient, double* norm, bool* finite) {
  const int64_t blocks = (gradient.shape[0] + kBlock - 1) / kBlock;
  std::vector<double> squares(blocks, 0.0);
  std::vector<char> good(blocks, 1);
  ParallelFor(gradient.shape[0], kBlock, [&](int64_t begin, int64_t end) {
    // Eight sums, so that they fit vector registers in the same order everywhere.
    double lanes[8] = {};
    int64_t infinite = 0;
    const T* values = gradient.data;
    int64_t i = begin;
    for (; i + 8 <= end; i += 8) {
      for (int lane = 0; lane < 8; ++lane) {
        const T value = values[i + lane];
        lanes[lane] += static_cast<double>(value) * static_cast<double>(value);
        infinite += !(value - value == T{0});  // only a finite number minus itself is 0
      }
    }
    for (; i < end; ++i) {
      lanes[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      infinite += !(values[i] - values[i] == T{0});
    }
    double sum = 0.0;
    for (const double lane : lanes) sum += lane;
    squares[begin / kBlock] = sum;
    good[begin / kBlock] = infinite == 0;
  });
  double sum = 0.0;
  bool all_good = true;
  for (int64_t k = 0; k < blocks; ++k) {
    sum += squares[k];
    all_good = all_good && good[k] != 0;
  }
  *norm = std::sqrt(sum);
  *finite = all_good;
}

template <typename T>
void ClampGradientCpu(View<T, 1> gradient, double limit) {
  const T high = static_cast<T>(limit);
  ParallelFor(gradient.shape[0], kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) gradient.data[i] = Clamp(gradient.data[i], high);
  });
}

template <typename T>
void ScaleGradientCpu(View<T, 1> gradient, double factor) {
  const T scale = static_cast<T>(factor);
  ParallelFor(gradient.shape[0], kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) gradient.data[i] *= scale;
  });
}

template <typename T>
void AdamwStepCpu(const AdamwArrays<T>& arrays, int64_t* step, const bool* predicate, const AdamwOptions& options,
                  const LearningRateSchedule& schedule, double ema_decay) {
  if (!*predicate) return;
  const AdamwFactors<T> factors = AdamwFactorsAt<T>(*step, options, schedule, ema_decay);
  const bool ema = arrays.ema != nullptr, copy = arrays.bfloat16_copy != nullptr;
  auto* const block = arrays.max_exp_avg_sq != nullptr
                          ? (ema ? StepBlockFor<T, true, true>(copy) : StepBlockFor<T, true, false>(copy))
                          : (ema ? StepBlockFor<T, false, true>(copy) : StepBlockFor<T, false, false>(copy));
  ParallelFor(arrays.size, kBlock, [&](int64_t begin, int64_t end) {
    block(factors, begin, end, arrays.parameter, arrays.gradient, arrays.exp_avg, arrays.exp_avg_sq,
          arrays.max_exp_avg_sq, arrays.ema, arrays.bfloat16_copy);
  });
  ++*step;
}

#define CUBIST_INSTANTIATE(T)                                                                      \
  template void GradientFiniteAndNormCpu<T>(View<const T, 1>, double*, bool*);                     \
  template void ClampGradientCpu<T>(View<T, 1>, double);                                           \
  template void ScaleGradientCpu<T>(View<T, 1>, double);                                           \
  template void AdamwStepCpu<T>(const AdamwArrays<T>&, int64_t*, const bool*, const AdamwOptions&, \
                                const LearningRateSchedule&, double)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
