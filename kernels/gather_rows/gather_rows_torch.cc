#include "kernels/gather_rows/gather_rows_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/gather_rows/gather_rows.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GatherRowsFunction : public torch::autograd::Function<GatherRowsFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& index) {
    const at::Tensor x = x_in.contiguous();
    at::Tensor y = at::empty({index.size(0), x.size(1)}, x.options());
    DispatchFloating(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      GatherRowsForwardCpu<T>(ViewOf<const T, 2>(x), ViewOf<const int64_t, 1>(index), ViewOf<T, 2>(y));
    });
    context->save_for_backward({index});
    context->saved_data["rows"] = x.size(0);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor index = context->get_saved_variables()[0];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty({context->saved_data["rows"].toInt(), dy.size(1)}, dy.options());
    DispatchFloating(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      GatherRowsBackwardCpu<T>(ViewOf<const T, 2>(dy), ViewOf<const int64_t, 1>(index), ViewOf<T, 2>(dx));
    });
    return {dx, at::Tensor()};
  }
};

}  // namespace

at::Tensor GatherRows(const at::Tensor& x, const at::Tensor& index) {
  CheckFloatingTensor(x, "GatherRows", "x", {-1, -1});
  CheckTensor(index, "GatherRows", "index", at::kLong, {-1});
  const at::Tensor dense_index = index.contiguous();
  CheckIndexRange(dense_index, "GatherRows", "index", x.size(0));
  return GatherRowsFunction::apply(x, dense_index);
}

}  // namespace cubist
