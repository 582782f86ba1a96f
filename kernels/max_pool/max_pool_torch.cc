#include "kernels/max_pool/max_pool_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/max_pool/max_pool.h"
#include "kernels/max_pool/max_pool_cuda.h"
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
    const View<const int64_t, 1> parents = ViewOf<const int64_t, 1>(parent);
    at::Tensor y = at::empty({num_coarse, x.size(1)}, x.options());
    at::Tensor argmax = at::empty(y.sizes(), parent.options().dtype(x.is_cuda() ? at::kInt : at::kLong));
    if (x.is_cuda()) {
      const at::Tensor workspace =
          at::empty({MaxPoolWorkspaceBytes(x.size(0), num_coarse)}, x.options().dtype(at::kByte));
      DispatchFeature(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(MaxPoolForwardCuda<T>(ViewAs<const T, 2>(x), parents, ViewAs<T, 2>(y), ViewOf<int32_t, 2>(argmax),
                                        workspace.mutable_data_ptr(), CurrentStream(x)),
                  "MaxPool");
      });
    } else {
      DispatchFloating(x.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        MaxPoolForwardCpu<T>(ViewOf<const T, 2>(x), parents, ViewOf<T, 2>(y), ViewOf<int64_t, 2>(argmax));
      });
    }
    context->save_for_backward({argmax, parent});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &argmax = saved[0], &parent = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx = at::empty({parent.size(0), dy.size(1)}, dy.options());
    if (dy.is_cuda()) {
      DispatchFeature(dy.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(MaxPoolBackwardCuda<T>(ViewAs<const T, 2>(dy), ViewOf<const int32_t, 2>(argmax),
                                         ViewOf<const int64_t, 1>(parent), ViewAs<T, 2>(dx), CurrentStream(dy)),
                  "MaxPool");
      });
    } else {
      DispatchFloating(dy.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        MaxPoolBackwardCpu<T>(ViewOf<const T, 2>(dy), ViewOf<const int64_t, 2>(argmax), ViewOf<T, 2>(dx));
      });
    }
    return {dx, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor MaxPool(const at::Tensor& x, const at::Tensor& parent, int64_t num_coarse) {
  const at::Device device = DeviceOf(x, "MaxPool", "x");
  CheckFloatingTensor(x, "MaxPool", "x", {-1, -1}, device);
  CheckTensor(parent, "MaxPool", "parent", at::kLong, {x.size(0)}, device);
  TORCH_CHECK(num_coarse >= 0, "MaxPool: num_coarse is ", num_coarse);
  const at::Tensor dense_parent = parent.contiguous();
  CheckIndexRange(dense_parent, "MaxPool", "parent", num_coarse);
  return MaxPoolFunction::apply(x, dense_parent, num_coarse);
}

}  // namespace cubist
