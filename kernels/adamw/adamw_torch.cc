#include "kernels/adamw/adamw_torch.h"

#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

void CheckFlat(const at::Tensor& tensor, const char* operation, const char* argument) {
  CheckFloatingTensor(tensor, operation, argument, {-1});
  TORCH_CHECK(tensor.is_contiguous(), operation, ": ", argument, " is not contiguous");
}

// As CheckFlat, and of the parameter's dtype and size.
void CheckLike(const at::Tensor& tensor, const at::Tensor& parameter, const char* argument) {
  CheckTensor(tensor, "AdamwStep", argument, parameter.scalar_type(), {parameter.size(0)});
  TORCH_CHECK(tensor.is_contiguous(), "AdamwStep: ", argument, " is not contiguous");
}

}  // namespace

void GradientFiniteAndNorm(const at::Tensor& flat_gradient, const at::Tensor& norm, const at::Tensor& finite) {
  CheckFlat(flat_gradient, "GradientFiniteAndNorm", "flat_gradient");
  CheckFloatingTensor(norm, "GradientFiniteAndNorm", "norm", {1});
  CheckTensor(finite, "GradientFiniteAndNorm", "finite", at::kBool, {1});
  double norm_value = 0.0;
  DispatchFloating(flat_gradient.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    GradientFiniteAndNormCpu<T>(ViewOf<const T, 1>(flat_gradient), &norm_value, finite.mutable_data_ptr<bool>());
  });
  DispatchFloating(norm.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    *norm.mutable_data_ptr<T>() = static_cast<T>(norm_value);
  });
}

void ClampGradient(const at::Tensor& flat_gradient, double clip_value) {
  CheckFlat(flat_gradient, "ClampGradient", "flat_gradient");
  TORCH_CHECK(clip_value >= 0, "ClampGradient: clip_value is ", clip_value);
  DispatchFloating(flat_gradient.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    ClampGradientCpu<T>(ViewOf<T, 1>(flat_gradient), clip_value);
  });
}

void ScaleGradient(const at::Tensor& flat_gradient, const at::Tensor& factor) {
  CheckFlat(flat_gradient, "ScaleGradient", "flat_gradient");
  CheckTensor(factor, "ScaleGradient", "factor", at::kDouble, {1});
  DispatchFloating(flat_gradient.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    ScaleGradientCpu<T>(ViewOf<T, 1>(flat_gradient), *factor.const_data_ptr<double>());
  });
}

void AdamwStep(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
               const at::Tensor& exp_avg_sq, const at::Tensor& max_exp_avg_sq, const std::optional<at::Tensor>& ema,
               const at::Tensor& step, const at::Tensor& predicate, const AdamwOptions& options,
               const LearningRateSchedule& schedule, double ema_decay) {
  CheckFlat(parameter, "AdamwStep", "parameter");
  CheckLike(gradient, parameter, "gradient");
  CheckLike(exp_avg, parameter, "exp_avg");
  CheckLike(exp_avg_sq, parameter, "exp_avg_sq");
  if (options.amsgrad) CheckLike(max_exp_avg_sq, parameter, "max_exp_avg_sq");
  if (ema.has_value()) CheckLike(*ema, parameter, "ema");
  CheckTensor(step, "AdamwStep", "step", at::kLong, {1});
  CheckTensor(predicate, "AdamwStep", "predicate", at::kBool, {1});
  DispatchFloating(parameter.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    AdamwArrays<T> arrays;
    arrays.size = parameter.size(0);
    arrays.parameter = parameter.mutable_data_ptr<T>();
    arrays.gradient = gradient.const_data_ptr<T>();
    arrays.exp_avg = exp_avg.mutable_data_ptr<T>();
    arrays.exp_avg_sq = exp_avg_sq.mutable_data_ptr<T>();
    arrays.max_exp_avg_sq = options.amsgrad ? max_exp_avg_sq.mutable_data_ptr<T>() : nullptr;
    arrays.ema = ema.has_value() ? ema->mutable_data_ptr<T>() : nullptr;
    AdamwStepCpu<T>(arrays, step.mutable_data_ptr<int64_t>(), predicate.const_data_ptr<bool>(), options, schedule,
                    ema_decay);
  });
}

}  // namespace cubist
