#include "kernels/max_pool/max_pool_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/max_pool/max_pool.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct MaxPoolFunction : public torch::autograd::Function<MaxPoolFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& parent,
                            int64_t num_coarse) {
    const at::Tensor x = x_in.contiguous();
    at::Tensor y = at::empty({num_coarse, x.size(1)}, x.options());
    at::Tensor argmax = at::empty({num_coarse, x.size(1)}, parent.options());
    DispatchFloating(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      MaxPoolForwardCpu<T>(ViewOf<const T, 2>(x), ViewOf<const int64_t, 1>(parent), ViewOf<T, 2>(y),
                           ViewOf<int64_t, 2>(argmax));
    });
    context->save_for_backward({argmax});
    context->saved_data["rows"] = x.size(0);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor argmax = context->get_saved_variables()[0];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty({context->saved_data["rows"].toInt(), dy.size(1)}, dy.options());
    DispatchFloating(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      MaxPoolBackwardCpu<T>(ViewOf<const T, 2>(dy), ViewOf<const int64_t, 2>(argmax), ViewOf<T, 2>(dx));
    });
    return {dx, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor MaxPool(const at::Tensor& x, const at::Tensor& parent, int64_t num_coarse) {
  CheckFloatingTensor(x, "MaxPool", "x", {-1, -1});
  CheckTensor(parent, "MaxPool", "parent", at::kLong, {x.size(0)});
  TORCH_CHECK(num_coarse >= 0, "MaxPool: num_coarse is ", num_coarse);
  const at::Tensor dense_parent = parent.contiguous();
  CheckIndexRange(dense_parent, "MaxPool", "parent", num_coarse);
  return MaxPoolFunction::apply(x, dense_parent, num_coarse);
}

}  // namespace cubist
