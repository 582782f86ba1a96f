#include "kernels/silu_add/silu_add_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/silu_add/silu_add.h"
#include "kernels/silu_add/silu_add_cuda.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The elements of a contiguous tensor.
template <typename T>
View<const T, 1> Elements(const at::Tensor& tensor) {
  return {static_cast<const T*>(tensor.const_data_ptr()), {tensor.numel()}};
}
template <typename T>
View<T, 1> WritableElements(const at::Tensor& tensor) {
  return {static_cast<T*>(tensor.mutable_data_ptr()), {tensor.numel()}};
}

struct SiluAddFunction : public torch::autograd::Function<SiluAddFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& residual_in) {
    const at::Tensor x = x_in.contiguous(), residual = residual_in.contiguous();
    const at::Tensor y = at::empty(x.sizes(), x.options());
    if (x.is_cuda()) {
      DispatchFeature(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(
            SiluAddForwardCuda<T>(Elements<T>(x), Elements<T>(residual), WritableElements<T>(y), CurrentStream(x)),
            "SiluAdd");
      });
    } else {
      DispatchFloating(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        SiluAddForwardCpu<T>(Elements<T>(x), Elements<T>(residual), WritableElements<T>(y));
      });
    }
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0], dy = gradients[0].contiguous();
    const at::Tensor dx = at::empty(x.sizes(), x.options());
    if (x.is_cuda()) {
      DispatchFeature(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(SiluAddBackwardCuda<T>(Elements<T>(x), Elements<T>(dy), WritableElements<T>(dx), CurrentStream(x)),
                  "SiluAdd");
      });
    } else {
      DispatchFloating(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        SiluAddBackwardCpu<T>(Elements<T>(x), Elements<T>(dy), WritableElements<T>(dx));
      });
    }
    return {dx, gradients[0]};
  }
};

}  // namespace

at::Tensor SiluAdd(const at::Tensor& x, const at::Tensor& residual) {
  const at::Device device = DeviceOf(x, "SiluAdd", "x");
  CheckFloatingTensor(x, "SiluAdd", "x", {-1, -1}, device);
  CheckTensor(residual, "SiluAdd", "residual", x.scalar_type(), x.sizes(), device);
  return SiluAddFunction::apply(x, residual);
}

}  // namespace cubist
