// The optimizer over flat arrays: finite check and norm, clamping, AdamW and moving average. Every
// decision is read from where the arrays live (step, predicate), so on a device the host waits for nothing.
#ifndef CUBIST_KERNELS_ADAMW_ADAMW_H_
#define CUBIST_KERNELS_ADAMW_ADAMW_H_

#include <cstdint>

#include "base/view.h"
#include "kernels/adamw/schedule.h"

namespace cubist {

struct AdamwOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
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
// null without a moving average.
template <typename T>
struct AdamwArrays {
  int64_t size = 0;
  T* parameter = nullptr;
  const T* gradient = nullptr;
  T* exp_avg = nullptr;
  T* exp_avg_sq = nullptr;
  T* max_exp_avg_sq = nullptr;
  T* ema = nullptr;
};

// With k = *step and t = k + 1, lr = LearningRateAt(schedule, k) (Loshchilov and Hutter, ICLR 2019; Reddi
// et al., ICLR 2018, with torch's convention that the maximum is over the uncorrected second moment):
//   m <- beta1 m + (1 - beta1) g         v <- beta2 v + (1 - beta2) g^2         vmax <- max(vmax, v)
//   p <- p (1 - lr weight_decay) - lr / (1 - beta1^t) * m / (sqrt(vmax) / sqrt(1 - beta2^t) + epsilon)
//   ema <- ema - (1 - d)(ema - p), d = EmaDecayAt(ema_decay, t)
//   *step <- t
// When *predicate is false nothing is written at all.
template <typename T>
void AdamwStepCpu(const AdamwArrays<T>& arrays, int64_t* step, const bool* predicate, const AdamwOptions& options,
                  const LearningRateSchedule& schedule, double ema_decay);

}  // namespace cubist

#endif  // CUBIST_KERNELS_ADAMW_ADAMW_H_
