// The optimizer over flat tensors. No function here makes the host wait for a device: decisions are
// tensors. None is differentiable; all write in place. Tensors are 1-D, contiguous, float32 or on the CPU
// float64 (one dtype within a call) and on one device (CPU or CUDA); anything else throws c10::Error. In float32
// both give the same parameters, moments and averages, bit by bit.
#ifndef CUBIST_KERNELS_ADAMW_ADAMW_TORCH_H_
#define CUBIST_KERNELS_ADAMW_ADAMW_TORCH_H_

#include <optional>

#include "ATen/core/Tensor.h"
#include "kernels/adamw/adamw.h"

namespace cubist {

// Writes the Euclidean norm of flat_gradient [M] to norm ([1] float64 or float32) and whether all its
// elements are finite to finite ([1] bool). Deterministic.
void GradientFiniteAndNorm(const at::Tensor& flat_gradient, const at::Tensor& norm, const at::Tensor& finite);

// Each element into [-clip_value, clip_value]; NaN stays NaN. clip_value >= 0.
void ClampGradient(const at::Tensor& flat_gradient, double clip_value);

// flat_gradient *= factor, a [1] float64 that is read where it lies.
void ScaleGradient(const at::Tensor& flat_gradient, const at::Tensor& factor);

// One AdamW step and update of the moving average (formulas: kernels/adamw/adamw.h).
//   parameter, gradient, exp_avg, exp_avg_sq   [M]
//   max_exp_avg_sq   [M]; undefined or [0] without amsgrad
//   ema              [M], or none
//   step             [1] int64: steps done so far; incremented when the step is applied
//   predicate        [1] bool: when false, nothing changes, not a bit (ema and step included)
//   ema_decay        upper limit of the moving average's decay; not used without ema
//   bfloat16_copy    [M] bfloat16, or none: the new parameters for bf16 compute, written in the same pass
void AdamwStep(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
               const at::Tensor& exp_avg_sq, const at::Tensor& max_exp_avg_sq, const std::optional<at::Tensor>& ema,
               const at::Tensor& step, const at::Tensor& predicate, const AdamwOptions& options,
               const LearningRateSchedule& schedule, double ema_decay = 0.0,
               const std::optional<at::Tensor>& bfloat16_copy = std::nullopt);

}  // namespace cubist

#endif  // CUBIST_KERNELS_ADAMW_ADAMW_TORCH_H_
