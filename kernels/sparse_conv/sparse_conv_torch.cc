#include "kernels/sparse_conv/sparse_conv_torch.h"

#include "ATen/Context.h"
#include "ATen/ops/constant_pad_nd.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/empty_like.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/sparse_conv_cuda.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kName = "SparseConv3d";

// Where TF32 is allowed only gradients use it: features go on to maxima and masks, and a maximum that a rounding moves
// to another voxel moves a whole gradient with it.
SparseConvMath MathOf(at::ScalarType dtype, bool for_gradient) {
  if (dtype == at::kBFloat16) return SparseConvMath::kBfloat16;
  return for_gradient && at::globalContext().allowTF32CuDNN() ? SparseConvMath::kTf32 : SparseConvMath::kFloat32;
}

// Channels as the GPU's kernels want them.
int64_t PaddedChannels(int64_t channels) { return (channels + 7) / 8 * 8; }

// Rows as the GPU's kernels want them: dense, on 16 bytes, channels padded with zeros.
at::Tensor KernelRows(const at::Tensor& rows) {
  if (rows.size(1) % 8 != 0) {
    return at::constant_pad_nd(rows, {0, PaddedChannels(rows.size(1)) - rows.size(1)}).contiguous();
  }
  const at::Tensor dense = rows.contiguous();
  return reinterpret_cast<uintptr_t>(dense.const_data_ptr()) % 16 == 0 ? dense : dense.clone();
}

// As KernelRows made them, without the padding.
at::Tensor WithoutPadding(const at::Tensor& rows, int64_t channels) {
  return rows.size(1) == channels ? rows : rows.narrow(1, 0, channels).contiguous();
}

at::Tensor Bytes(int64_t count, const at::Tensor& like) { return at::empty({count}, like.options().dtype(at::kByte)); }

// The forward for rows x, or the gradient of the input for rows dY. `bias` has the padded channels, or is undefined.
at::Tensor ConvolveOnGpu(SparseConvMath math, const at::Tensor& rows, const at::Tensor& weight, bool for_gradient,
                         const at::Tensor& neighbor_map, const at::Tensor& bias) {
  const int64_t channels = weight.size(for_gradient ? 1 : 0);
  const cudaStream_t stream = CurrentStream(rows);
  SparseConvWeights layout;
  layout.math = math;
  layout.path = FastestSparseConvPath(math);
  layout.inputs = rows.size(1);
  layout.outputs = PaddedChannels(channels);
  const at::Tensor packed = Bytes(layout.Bytes(), rows);
  at::Tensor y = at::empty({rows.size(0), layout.outputs}, rows.options());
  CheckCuda(PackSparseConvWeightsCuda(ViewOf<const float, 5>(weight), for_gradient, layout, packed.mutable_data_ptr(),
                                      stream),
            kName);
  DispatchFeature(rows.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    CheckCuda(SparseConvCuda<T>(ViewAs<const T, 2>(rows), layout, packed.const_data_ptr(),
                                ViewOf<const int32_t, 2>(neighbor_map),
                                bias.defined() ? bias.const_data_ptr<float>() : nullptr, ViewAs<T, 2>(y), stream),
              kName);
  });
  return WithoutPadding(y, channels);
}

at::Tensor WeightGradientOnGpu(SparseConvMath math, const at::Tensor& x, const at::Tensor& dy,
                               const at::Tensor& neighbor_map, at::IntArrayRef shape) {
  at::Tensor dweight = at::empty(shape, x.options().dtype(at::kFloat));
  const SparseConvPath path = FastestSparseConvWeightGradientPath(math, x.size(1), dy.size(1));
  const at::Tensor workspace =
      Bytes(SparseConvWeightGradientWorkspace(math, path, x.size(0), x.size(1), dy.size(1)), x);
  DispatchFeature(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    CheckCuda(SparseConvWeightGradientCuda<T>(math, path, ViewAs<const T, 2>(x), ViewAs<const T, 2>(dy),
                                              ViewOf<const int32_t, 2>(neighbor_map), workspace.mutable_data_ptr(),
                                              ViewOf<float, 5>(dweight), CurrentStream(x)),
              kName);
  });
  return dweight;
}

at::Tensor BiasGradientOnGpu(const at::Tensor& dy, int64_t channels) {
  at::Tensor dbias = at::empty({channels}, dy.options().dtype(at::kFloat));
  const at::Tensor workspace = Bytes(SparseConvBiasGradientWorkspace(dy.size(0), dy.size(1)), dy);
  DispatchFeature(dy.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    CheckCuda(SparseConvBiasGradientCuda<T>(ViewAs<const T, 2>(dy), workspace.mutable_data_ptr(),
                                            ViewOf<float, 1>(dbias), CurrentStream(dy)),
              kName);
  });
  return dbias;
}

struct SparseConvCudaFunction : public torch::autograd::Function<SparseConvCudaFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_in, const at::Tensor& weight,
                            const at::Tensor& neighbor_map, const std::optional<at::Tensor>& bias_in) {
    const at::Tensor x = KernelRows(x_in);
    at::Tensor bias;
    if (bias_in.has_value()) {
      const int64_t channels = bias_in->size(0);
      bias = at::constant_pad_nd(bias_in->contiguous(), {0, PaddedChannels(channels) - channels});
    }
    context->save_for_backward({x, weight, neighbor_map});
    context->saved_data["has_bias"] = bias.defined();
    context->saved_data["math_of_gradients"] = static_cast<int64_t>(MathOf(x.scalar_type(), /*for_gradient=*/true));
    return ConvolveOnGpu(MathOf(x.scalar_type(), /*for_gradient=*/false), x, weight, /*for_gradient=*/false,
                         neighbor_map, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &neighbor_map = saved[2];
    const at::Tensor dy = KernelRows(gradients[0]);
    const SparseConvMath math = static_cast<SparseConvMath>(context->saved_data["math_of_gradients"].toInt());
    at::Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) {
      dx = ConvolveOnGpu(math, dy, weight, /*for_gradient=*/true, neighbor_map, at::Tensor());
    }
    if (context->needs_input_grad(1)) dweight = WeightGradientOnGpu(math, x, dy, neighbor_map, weight.sizes());
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(3)) {
      dbias = BiasGradientOnGpu(dy, weight.size(0));
    }
    return {dx, dweight, at::Tensor(), dbias};
  }
};

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
  const at::Device device = DeviceOf(x, kName, "x");
  CheckFloatingTensor(x, kName, "x", {-1, -1}, device);
  const at::ScalarType parameter = device.is_cpu() ? x.scalar_type() : at::kFloat;
  CheckTensor(weight, kName, "weight", parameter, {-1, x.size(1), 3, 3, 3}, device);
  CheckTensor(neighbor_map, kName, "neighbor_map", at::kInt, {kConvTaps, x.size(0)}, device);
  if (bias.has_value()) CheckTensor(*bias, kName, "bias", parameter, {weight.size(0)}, device);
  const at::Tensor dense_map = neighbor_map.contiguous();
  CheckIndexRange(dense_map, kName, "neighbor_map", x.size(0));
  if (device.is_cuda()) return SparseConvCudaFunction::apply(x, weight, dense_map, bias);
  return SparseConvFunction::apply(x, weight, dense_map, bias);
}

}  // namespace cubist
