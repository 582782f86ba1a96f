#include "kernels/group_norm/group_norm_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

View<const int64_t, 1> OffsetsView(const std::vector<int64_t>& offsets) {
  return View<const int64_t, 1>(offsets.data(), {static_cast<int64_t>(offsets.size())});
}

struct GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& gamma_in,
                            const at::Tensor& beta_in, const std::vector<int64_t>& offsets, int64_t groups,
                            double epsilon, bool silu) {
    const at::Tensor x = x_in.contiguous(), gamma = gamma_in.contiguous(), beta = beta_in.contiguous();
    const int64_t samples = static_cast<int64_t>(offsets.size()) - 1;
    at::Tensor y = at::empty(x.sizes(), x.options());
    at::Tensor mean = at::empty({samples, groups}, x.options().dtype(at::kDouble));
    at::Tensor reciprocal_std = at::empty({samples, groups}, x.options().dtype(at::kDouble));
    DispatchFloating(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      GroupNormForwardCpu<T>(ViewOf<const T, 2>(x), OffsetsView(offsets), gamma.const_data_ptr<T>(),
                             beta.const_data_ptr<T>(), {groups, epsilon, silu}, ViewOf<T, 2>(y),
                             ViewOf<double, 2>(mean), ViewOf<double, 2>(reciprocal_std));
    });
    context->save_for_backward({x, gamma, beta, mean, reciprocal_std});
    context->saved_data["offsets"] = offsets;
    context->saved_data["groups"] = groups;
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["silu"] = silu;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &gamma = saved[1], &beta = saved[2], &mean = saved[3], &reciprocal_std = saved[4];
    const std::vector<int64_t> offsets = context->saved_data["offsets"].toIntVector();
    const GroupNormOptions options = {context->saved_data["groups"].toInt(), context->saved_data["epsilon"].toDouble(),
                                      context->saved_data["silu"].toBool()};
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty(x.sizes(), dy.options());
    at::Tensor dgamma = at::empty(gamma.sizes(), dy.options());
    at::Tensor dbeta = at::empty(beta.sizes(), dy.options());
    DispatchFloating(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      GroupNormBackwardCpu<T>(ViewOf<const T, 2>(dy), ViewOf<const T, 2>(x), OffsetsView(offsets),
                              gamma.const_data_ptr<T>(), beta.const_data_ptr<T>(), options,
                              ViewOf<const double, 2>(mean), ViewOf<const double, 2>(reciprocal_std), ViewOf<T, 2>(dx),
                              dgamma.mutable_data_ptr<T>(), dbeta.mutable_data_ptr<T>());
    });
    return {dx, dgamma, dbeta, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor GroupNorm(const at::Tensor& x, const std::vector<int64_t>& host_offsets, int64_t groups,
                     const at::Tensor& gamma, const at::Tensor& beta, double epsilon, bool silu) {
  CheckFloatingTensor(x, "GroupNorm", "x", {-1, -1});
  CheckTensor(gamma, "GroupNorm", "gamma", x.scalar_type(), {x.size(1)});
  CheckTensor(beta, "GroupNorm", "beta", x.scalar_type(), {x.size(1)});
  TORCH_CHECK(groups > 0 && x.size(1) % groups == 0, "GroupNorm: ", x.size(1), " channels cannot be split into ",
              groups, " equal groups");
  TORCH_CHECK(!host_offsets.empty() && host_offsets.front() == 0 && host_offsets.back() == x.size(0),
              "GroupNorm: host_offsets must begin with 0 and end with the number of rows, ", x.size(0));
  for (size_t b = 1; b < host_offsets.size(); ++b) {
    TORCH_CHECK(host_offsets[b] >= host_offsets[b - 1], "GroupNorm: host_offsets descend at sample ", b - 1);
  }
  return GroupNormFunction::apply(x, gamma, beta, host_offsets, groups, epsilon, silu);
}

}  // namespace cubist
