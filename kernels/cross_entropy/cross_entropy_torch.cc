#include "kernels/cross_entropy/cross_entropy_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/cross_entropy/cross_entropy_cuda.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& logits_in, const at::Tensor& target) {
    const at::Tensor logits = logits_in.contiguous();
    const View<const int64_t, 1> targets = ViewOf<const int64_t, 1>(target);
    at::Tensor value;
    if (logits.is_cuda()) {
      value = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
      DispatchFeature(logits.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(CrossEntropyForwardCuda<T>(ViewAs<const T, 2>(logits), targets, ViewOf<float, 1>(value),
                                             CurrentStream(logits)),
                  "CrossEntropy");
      });
    } else {
      value = at::empty({logits.size(0)}, logits.options());
      DispatchFloating(logits.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CrossEntropyForwardCpu<T>(ViewOf<const T, 2>(logits), targets, ViewOf<T, 1>(value));
      });
    }
    context->save_for_backward({logits, target});
    return value;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &logits = saved[0], &target = saved[1];
    const View<const int64_t, 1> targets = ViewOf<const int64_t, 1>(target);
    const at::Tensor dvalue = gradients[0].contiguous();
    at::Tensor dlogits = at::empty(logits.sizes(), logits.options());
    if (logits.is_cuda()) {
      DispatchFeature(logits.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(CrossEntropyBackwardCuda<T>(ViewAs<const T, 2>(logits), targets, ViewOf<const float, 1>(dvalue),
                                              ViewAs<T, 2>(dlogits), CurrentStream(logits)),
                  "CrossEntropy");
      });
    } else {
      DispatchFloating(logits.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CrossEntropyBackwardCpu<T>(ViewOf<const T, 2>(logits), targets, ViewOf<const T, 1>(dvalue),
                                   ViewOf<T, 2>(dlogits));
      });
    }
    return {dlogits, at::Tensor()};
  }
};

}  // namespace

at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& target) {
  const at::Device device = DeviceOf(logits, "CrossEntropy", "logits");
  CheckFloatingTensor(logits, "CrossEntropy", "logits", {-1, -1}, device);
  CheckTensor(target, "CrossEntropy", "target", at::kLong, {logits.size(0)}, device);
  TORCH_CHECK(logits.size(1) > 0 && (device.is_cpu() || logits.size(1) <= kCrossEntropyMaxClasses),
              "CrossEntropy: logits have ", logits.size(1), " classes");
  const at::Tensor dense_target = target.contiguous();
  CheckIndexRange(dense_target, "CrossEntropy", "target", logits.size(1));
  return CrossEntropyFunction::apply(logits, dense_target);
}

}  // namespace cubist
