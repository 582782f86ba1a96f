#include "kernels/sparse_conv/sparse_conv_torch.h"

#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SparseConvFunction : public torch::autograd::Function<SparseConvFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& weight,
                            const at::Tensor& neighbor_map, const std::optional<at::Tensor>& bias_in) {
    const at::Tensor x = x_in.contiguous();
    const at::Tensor bias = bias_in.has_value() ? bias_in->contiguous() : at::Tensor();
    at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
    DispatchFloating(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      SparseConvForwardCpu<T>(ViewOf<const T, 2>(x), ViewOf<const T, 5>(weight), ViewOf<const int32_t, 2>(neighbor_map),
                              bias.defined() ? bias.const_data_ptr<T>() : nullptr, ViewOf<T, 2>(y));
    });
    context->save_for_backward({x, weight, neighbor_map});
    context->saved_data["has_bias"] = bias.defined();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &neighbor_map = saved[2];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx, dweight, dbias;
    DispatchFloating(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto dy_view = ViewOf<const T, 2>(dy);
      const auto map_view = ViewOf<const int32_t, 2>(neighbor_map);
      if (context->needs_input_grad(0)) {
        dx = at::empty({x.size(0), x.size(1)}, dy.options());
        SparseConvInputGradientCpu<T>(dy_view, ViewOf<const T, 5>(weight), map_view, ViewOf<T, 2>(dx));
      }
      if (context->needs_input_grad(1)) {
        dweight = at::empty(weight.sizes(), dy.options());
        SparseConvWeightGradientCpu<T>(ViewOf<const T, 2>(x), dy_view, map_view, ViewOf<T, 5>(dweight));
      }
      if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(3)) {
        dbias = at::empty({weight.size(0)}, dy.options());
        SparseConvBiasGradientCpu<T>(dy_view, dbias.mutable_data_ptr<T>());
      }
    });
    return {dx, dweight, at::Tensor(), dbias};
  }
};

}  // namespace

at::Tensor SparseConv3d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& neighbor_map,
                        const std::optional<at::Tensor>& bias) {
  CheckFloatingTensor(x, "SparseConv3d", "x", {-1, -1});
  CheckTensor(weight, "SparseConv3d", "weight", x.scalar_type(), {-1, x.size(1), 3, 3, 3});
  CheckTensor(neighbor_map, "SparseConv3d", "neighbor_map", at::kInt, {kConvTaps, x.size(0)});
  if (bias.has_value()) CheckTensor(*bias, "SparseConv3d", "bias", x.scalar_type(), {weight.size(0)});
  const at::Tensor dense_map = neighbor_map.contiguous();
  CheckIndexRange(dense_map, "SparseConv3d", "neighbor_map", x.size(0));
  return SparseConvFunction::apply(x, weight, dense_map, bias);
}

}  // namespace cubist
