#include "kernels/adamw/adamw_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/adamw/adamw_cuda.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

// 1-D, contiguous, float32 or float64; on a GPU float32.
at::Device CheckFlat(const at::Tensor& tensor, const char* operation, const char* argument) {
  const at::Device device = DeviceOf(tensor, operation, argument);
  if (device.is_cpu()) {
    CheckFloatingTensor(tensor, operation, argument, {-1});
  } else {
    CheckTensor(tensor, operation, argument, at::kFloat, {-1}, device);
  }
  TORCH_CHECK(tensor.is_contiguous(), operation, ": ", argument, " is not contiguous");
  return device;
}

// As CheckFlat, and of the parameter's size and device.
void CheckLike(const at::Tensor& tensor, const at::Tensor& parameter, at::ScalarType dtype, const char* argument) {
  CheckTensor(tensor, "AdamwStep", argument, dtype, {parameter.size(0)}, parameter.device());
  TORCH_CHECK(tensor.is_contiguous(), "AdamwStep: ", argument, " is not contiguous");
}

// Device memory that the stream's later work may take again as soon as this tensor is gone.
at::Tensor Workspace(size_t bytes, const at::Tensor& like) {
  return at::empty({static_cast<int64_t>(bytes)}, like.options().dtype(at::kByte));
}

template <typename T>
AdamwArrays<T> ArraysOf(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
                        const at::Tensor& exp_avg_sq, const at::Tensor* max_exp_avg_sq,
                        const std::optional<at::Tensor>& ema, const std::optional<at::Tensor>& bfloat16_copy) {
  AdamwArrays<T> arrays;
  arrays.size = parameter.size(0);
  arrays.parameter = parameter.mutable_data_ptr<T>();
  arrays.gradient = gradient.const_data_ptr<T>();
  arrays.exp_avg = exp_avg.mutable_data_ptr<T>();
  arrays.exp_avg_sq = exp_avg_sq.mutable_data_ptr<T>();
  arrays.max_exp_avg_sq = max_exp_avg_sq != nullptr ? max_exp_avg_sq->mutable_data_ptr<T>() : nullptr;
  arrays.ema = ema.has_value() ? ema->mutable_data_ptr<T>() : nullptr;
  arrays.bfloat16_copy =
      bfloat16_copy.has_value() ? static_cast<uint16_t*>(bfloat16_copy->mutable_data_ptr()) : nullptr;
  return arrays;
}

}  // namespace

void GradientFiniteAndNorm(const at::Tensor& flat_gradient, const at::Tensor& norm, const at::Tensor& finite) {
  const at::Device device = CheckFlat(flat_gradient, "GradientFiniteAndNorm", "flat_gradient");
  const bool double_norm = norm.defined() && norm.scalar_type() == at::kDouble;
  CheckTensor(norm, "GradientFiniteAndNorm", "norm", double_norm ? at::kDouble : at::kFloat, {1}, device);
  CheckTensor(finite, "GradientFiniteAndNorm", "finite", at::kBool, {1}, device);
  if (device.is_cuda()) {
    const at::Tensor workspace = Workspace(GradientNormWorkspaceBytes(), flat_gradient);
    DispatchFloating(norm.scalar_type(), [&](auto zero) {
      using Norm = decltype(zero);
      CheckCuda(GradientFiniteAndNormCuda<Norm>(ViewOf<const float, 1>(flat_gradient), norm.mutable_data_ptr<Norm>(),
                                                finite.mutable_data_ptr<bool>(), workspace.mutable_data_ptr(),
                                                CurrentStream(flat_gradient)),
                "GradientFiniteAndNorm");
    });
    return;
  }
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
  const at::Device device = CheckFlat(flat_gradient, "ClampGradient", "flat_gradient");
  TORCH_CHECK(clip_value >= 0, "ClampGradient: clip_value is ", clip_value);
  if (device.is_cuda()) {
    CheckCuda(ClampGradientCuda(ViewOf<float, 1>(flat_gradient), clip_value, CurrentStream(flat_gradient)),
              "ClampGradient");
    return;
  }
  DispatchFloating(flat_gradient.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    ClampGradientCpu<T>(ViewOf<T, 1>(flat_gradient), clip_value);
  });
}

void ScaleGradient(const at::Tensor& flat_gradient, const at::Tensor& factor) {
  const at::Device device = CheckFlat(flat_gradient, "ScaleGradient", "flat_gradient");
  CheckTensor(factor, "ScaleGradient", "factor", at::kDouble, {1}, device);
  if (device.is_cuda()) {
    CheckCuda(ScaleGradientCuda(ViewOf<float, 1>(flat_gradient), factor.const_data_ptr<double>(),
                                CurrentStream(flat_gradient)),
              "ScaleGradient");
    return;
  }
  DispatchFloating(flat_gradient.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    ScaleGradientCpu<T>(ViewOf<T, 1>(flat_gradient), *factor.const_data_ptr<double>());
  });
}

void AdamwStep(const at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& exp_avg,
               const at::Tensor& exp_avg_sq, const at::Tensor& max_exp_avg_sq, const std::optional<at::Tensor>& ema,
               const at::Tensor& step, const at::Tensor& predicate, const AdamwOptions& options,
               const LearningRateSchedule& schedule, double ema_decay, const std::optional<at::Tensor>& bfloat16_copy) {
  const at::Device device = CheckFlat(parameter, "AdamwStep", "parameter");
  const at::ScalarType dtype = parameter.scalar_type();
  CheckLike(gradient, parameter, dtype, "gradient");
  CheckLike(exp_avg, parameter, dtype, "exp_avg");
  CheckLike(exp_avg_sq, parameter, dtype, "exp_avg_sq");
  if (options.amsgrad) CheckLike(max_exp_avg_sq, parameter, dtype, "max_exp_avg_sq");
  if (ema.has_value()) CheckLike(*ema, parameter, dtype, "ema");
  if (bfloat16_copy.has_value()) CheckLike(*bfloat16_copy, parameter, at::kBFloat16, "bfloat16_copy");
  CheckTensor(step, "AdamwStep", "step", at::kLong, {1}, device);
  CheckTensor(predicate, "AdamwStep", "predicate", at::kBool, {1}, device);
  TORCH_CHECK(options.clip_value >= 0, "AdamwStep: clip_value is ", options.clip_value);
  const at::Tensor* const largest = options.amsgrad ? &max_exp_avg_sq : nullptr;
  if (device.is_cuda()) {
    const at::Tensor workspace = Workspace(AdamwStepWorkspaceBytes(), parameter);
    CheckCuda(AdamwStepCuda(ArraysOf<float>(parameter, gradient, exp_avg, exp_avg_sq, largest, ema, bfloat16_copy),
                            step.mutable_data_ptr<int64_t>(), predicate.const_data_ptr<bool>(), options, schedule,
                            ema_decay, workspace.mutable_data_ptr(), CurrentStream(parameter)),
              "AdamwStep");
    return;
  }
  DispatchFloating(dtype, [&](auto zero) {
    using T = decltype(zero);
    AdamwStepCpu<T>(ArraysOf<T>(parameter, gradient, exp_avg, exp_avg_sq, largest, ema, bfloat16_copy),
                    step.mutable_data_ptr<int64_t>(), predicate.const_data_ptr<bool>(), options, schedule, ema_decay);
  });
}

}  // namespace cubist
