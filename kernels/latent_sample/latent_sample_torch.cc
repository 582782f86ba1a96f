#include "kernels/latent_sample/latent_sample_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/latent_sample/latent_sample.h"
#include "kernels/latent_sample/latent_sample_cuda.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Of no data if there is no noise.
template <typename T>
View<const T, 2> NoiseView(const at::Tensor& noise) {
  return noise.defined() ? ViewOf<const T, 2>(noise) : View<const T, 2>();
}

struct LatentSampleFunction : public torch::autograd::Function<LatentSampleFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& moments_in,
                               const std::optional<at::Tensor>& noise_in) {
    const at::Tensor moments = moments_in.contiguous();
    const at::Tensor noise = noise_in.has_value() ? noise_in->contiguous() : at::Tensor();
    const int64_t cells = moments.size(0);
    at::Tensor z = at::empty({cells, moments.size(1) / 2}, moments.options());
    at::Tensor divergence;
    if (moments.is_cuda()) {
      divergence = at::empty({cells}, moments.options().dtype(at::kFloat));
      DispatchFeature(moments.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(LatentSampleForwardCuda<T>(ViewAs<const T, 2>(moments), NoiseView<float>(noise), ViewAs<T, 2>(z),
                                             ViewOf<float, 1>(divergence), CurrentStream(moments)),
                  "LatentSample");
      });
    } else {
      divergence = at::empty({cells}, moments.options());
      DispatchFloating(moments.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        LatentSampleForwardCpu<T>(ViewOf<const T, 2>(moments), NoiseView<T>(noise), ViewOf<T, 2>(z),
                                  ViewOf<T, 1>(divergence));
      });
    }
    context->save_for_backward({moments, noise});
    return {z, divergence};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &moments = saved[0], &noise = saved[1];
    const at::Tensor dz = gradients[0].contiguous(), ddivergence = gradients[1].contiguous();
    at::Tensor dmoments = at::empty(moments.sizes(), moments.options());
    if (moments.is_cuda()) {
      DispatchFeature(moments.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        CheckCuda(LatentSampleBackwardCuda<T>(ViewAs<const T, 2>(moments), NoiseView<float>(noise),
                                              ViewAs<const T, 2>(dz), ViewOf<const float, 1>(ddivergence),
                                              ViewAs<T, 2>(dmoments), CurrentStream(moments)),
                  "LatentSample");
      });
    } else {
      DispatchFloating(moments.scalar_type(), [&](auto zero) {
        using T = decltype(zero);
        LatentSampleBackwardCpu<T>(ViewOf<const T, 2>(moments), NoiseView<T>(noise), ViewOf<const T, 2>(dz),
                                   ViewOf<const T, 1>(ddivergence), ViewOf<T, 2>(dmoments));
      });
    }
    return {dmoments, at::Tensor()};
  }
};

}  // namespace

std::pair<at::Tensor, at::Tensor> LatentSample(const at::Tensor& moments, const std::optional<at::Tensor>& noise) {
  const at::Device device = DeviceOf(moments, "LatentSample", "moments");
  CheckFloatingTensor(moments, "LatentSample", "moments", {-1, -1}, device);
  TORCH_CHECK(moments.size(1) % 2 == 0, "LatentSample: moments have ", moments.size(1),
              " columns; as many means as logarithms of variances were expected");
  if (noise.has_value()) {
    CheckTensor(*noise, "LatentSample", "noise", device.is_cpu() ? moments.scalar_type() : at::kFloat,
                {moments.size(0), moments.size(1) / 2}, device);
  }
  const variable_list result = LatentSampleFunction::apply(moments, noise);
  return {result[0], result[1]};
}

}  // namespace cubist
