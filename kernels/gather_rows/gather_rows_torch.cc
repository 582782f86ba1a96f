#include "kernels/gather_rows/gather_rows_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/gather_rows/gather_rows.h"
#include "kernels/gather_rows/gather_rows_cuda.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GatherRowsFunction : public torch::autograd::Function<GatherRowsFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& index) {
    const at::Tensor x = x_in.contiguous();
    const View<const int64_t, 1> rows = ViewOf<const int64_t, 1>(index);
    at::Tensor y = at::empty({index.size(0), x.size(1)}, x.options());
    if (x.is_cuda()) {
      DispatchFeature(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(GatherRowsForwardCuda<T>(ViewAs<const T, 2>(x), rows, ViewAs<T, 2>(y), CurrentStream(x)),
                  "GatherRows");
      });
    } else {
      DispatchFloating(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        GatherRowsForwardCpu<T>(ViewOf<const T, 2>(x), rows, ViewOf<T, 2>(y));
      });
    }
    context->save_for_backward({index});
    context->saved_data["rows"] = x.size(0);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor index = context->get_saved_variables()[0];
    const View<const int64_t, 1> rows = ViewOf<const int64_t, 1>(index);
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty({context->saved_data["rows"].toInt(), dy.size(1)}, dy.options());
    if (dy.is_cuda()) {
      const at::Tensor workspace = at::empty({GatherRowsBackwardWorkspaceBytes(dx.size(0), dy.size(0), dy.size(1))},
                                             dy.options().dtype(at::kByte));
      DispatchFeature(dy.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(GatherRowsBackwardCuda<T>(ViewAs<const T, 2>(dy), rows, ViewAs<T, 2>(dx),
                                            workspace.mutable_data_ptr(), CurrentStream(dy)),
                  "GatherRows");
      });
    } else {
      DispatchFloating(dy.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        GatherRowsBackwardCpu<T>(ViewOf<const T, 2>(dy), rows, ViewOf<T, 2>(dx));
      });
    }
    return {dx, at::Tensor()};
  }
};

}  // namespace

at::Tensor GatherRows(const at::Tensor& x, const at::Tensor& index) {
  const at::Device device = DeviceOf(x, "GatherRows", "x");
  CheckFloatingTensor(x, "GatherRows", "x", {-1, -1}, device);
  CheckTensor(index, "GatherRows", "index", at::kLong, {-1}, device);
  const at::Tensor dense_index = index.contiguous();
  CheckIndexRange(dense_index, "GatherRows", "index", x.size(0));
  return GatherRowsFunction::apply(x, dense_index);
}

}  // namespace cubist
