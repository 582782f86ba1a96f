// The optimizer over flat arrays: finite check and norm, clamping, AdamW and moving average. Every
// decision is read from where the arrays live (step, predicate), so on a device the host waits for nothing.
#ifndef CUBIST_KERNELS_ADAMW_ADAMW_H_
#define CUBIST_KERNELS_ADAMW_ADAMW_H_

#include <cmath>
#include <cstdint>

#include "base/view.h"
#include "kernels/adamw/schedule.h"

namespace cubist {

struct AdamwOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  double clip_value = 0.0;  // gradient elements are taken as if clamped into [-clip_value, clip_value]; 0: as they are
  bool amsgrad = true;
};

// Euclidean norm of `gradient`, added up in double over fixed blocks, and whether all elements are
// finite. With an element that is not, the norm is not finite either.
template <typename T>
void GradientFiniteAndNormCpu(View<const T, 1> gradient, double* norm, bool* finite);

// gradient[i] into [-limit, limit]; NaN stays NaN.
template <typename T>
void ClampGradientCpu(View<T, 1> gradient, double limit);

template <typename T>
void ScaleGradientCpu(View<T, 1> gradient, double factor);

// The arrays of one step, all [size] and dense. max_exp_avg_sq is null exactly without amsgrad, ema is
// null without a moving average, and bfloat16_copy (the bits of bfloat16) without a copy.
template <typename T>
struct AdamwArrays {
  int64_t size = 0;
  T* parameter = nullptr;
  const T* gradient = nullptr;
  T* exp_avg = nullptr;
  T* exp_avg_sq = nullptr;
  T* max_exp_avg_sq = nullptr;
  T* ema = nullptr;
  uint16_t* bfloat16_copy = nullptr;
};

// A step's numbers, the same for all elements: worked out in double, used as T, on the host and on a device.
template <typename T>
struct AdamwFactors {
  T limit;         // of the gradient's elements; infinite without clip_value
  T keep;          // 1 - lr * weight_decay
  T beta1, rest1;  // beta, 1 - beta
  T beta2, rest2;
  T root;  // 1 / sqrt(1 - beta2^t)
  T epsilon;
  T rate;      // lr / (1 - beta1^t)
  T ema_rest;  // 1 - d
};

// Of the step that follows k steps.
template <typename T>
CUBIST_HOST_DEVICE AdamwFactors<T> AdamwFactorsAt(int64_t k, const AdamwOptions& options,
                                                  const LearningRateSchedule& schedule, double ema_decay) {
  const double rate = LearningRateAt(schedule, k);
  const double power = static_cast<double>(k + 1);
  AdamwFactors<T> f;
  f.limit = static_cast<T>(options.clip_value > 0 ? options.clip_value : HUGE_VAL);
  f.keep = static_cast<T>(1.0 - rate * options.weight_decay);
  f.beta1 = static_cast<T>(options.beta1);
  f.rest1 = static_cast<T>(1.0 - options.beta1);
  f.beta2 = static_cast<T>(options.beta2);
  f.rest2 = static_cast<T>(1.0 - options.beta2);
  f.root = static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(options.beta2, power)));
  f.epsilon = static_cast<T>(options.epsilon);
  f.rate = static_cast<T>(rate / (1.0 - std::pow(options.beta1, power)));
  f.ema_rest = static_cast<T>(1.0 - EmaDecayAt(ema_decay, k + 1));
  return f;
}

// With k = *step and t = k + 1, lr = LearningRateAt(schedule, k), g the gradient after clip_value (Loshchilov and
// Hutter, ICLR 2019; Reddi et al., ICLR 2018, with torch's convention that the maximum is over the uncorrected second
// moment):
//   m <- beta1 m + (1 - beta1) g         v <- beta2 v + (1 - beta2) g^2         vmax <- max(vmax, v)
//   p <- p (1 - lr weight_decay) - lr / (1 - beta1^t) * m / (sqrt(vmax) / sqrt(1 - beta2^t) + epsilon)
//   ema <- ema - (1 - d)(ema - p), d = EmaDecayAt(ema_decay, t)
//   bfloat16_copy <- p as float32, to the nearest bfloat16, ties to even
//   *step <- t
// When *predicate is false nothing is written at all.
template <typename T>
void AdamwStepCpu(const AdamwArrays<T>& arrays, int64_t* step, const bool* predicate, const AdamwOptions& options,
                  const LearningRateSchedule& schedule, double ema_decay);

}  // namespace cubist

#endif  // CUBIST_KERNELS_ADAMW_ADAMW_H_
