#include "kernels/group_norm/group_norm_torch.h"

#include <optional>

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/dispatch.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/group_norm/group_norm_cuda.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/custom_function.h"

namespace cubist {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

View<const int64_t, 1> OffsetsView(const std::vector<int64_t>& offsets) {
  return View<const int64_t, 1>(offsets.data(), {static_cast<int64_t>(offsets.size())});
}

// What the kernels take; tensors that are not there are undefined.
struct Arguments {
  at::Tensor x, gamma, beta, scale, shift, mean, reciprocal_std, device_offsets;
  std::vector<int64_t> offsets;
  GroupNormOptions options;

  int64_t samples() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

template <typename T>
View<const T, 2> OptionalView(const at::Tensor& tensor) {
  return tensor.defined() ? ViewOf<const T, 2>(tensor) : View<const T, 2>();
}

template <typename T>
T* OptionalData(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.mutable_data_ptr()) : nullptr;
}

template <typename T>
GroupNormModulation<T> ModulationOf(const Arguments& arguments) {
  return {OptionalView<T>(arguments.scale), OptionalView<T>(arguments.shift)};
}

GroupNormOffsets OffsetsOf(const Arguments& arguments) {
  return {OffsetsView(arguments.offsets), arguments.device_offsets.const_data_ptr<int64_t>()};
}

GroupNormParameters ParametersOf(const Arguments& arguments) {
  return {arguments.gamma.const_data_ptr<float>(), arguments.beta.const_data_ptr<float>(),
          ModulationOf<float>(arguments)};
}

// A dense view of a contiguous tensor, whatever strides LibTorch gives to dimensions of one entry.
template <typename T>
View<const T, 2> RowsOf(const at::Tensor& tensor) {
  return {static_cast<const T*>(tensor.const_data_ptr()), {tensor.size(0), tensor.size(1)}};
}

// Device memory that the stream's later work may take again as soon as this tensor is gone.
at::Tensor WorkspaceOf(const Arguments& arguments) {
  const size_t bytes =
      GroupNormWorkspaceBytes(OffsetsView(arguments.offsets), arguments.x.size(1), arguments.options.groups);
  return at::empty({static_cast<int64_t>(bytes)}, arguments.x.options().dtype(at::kByte));
}

void ForwardOnCpu(const Arguments& arguments, const at::Tensor& residual, const at::Tensor& y) {
  DispatchFloating(y.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const auto x = ViewOf<const T, 2>(arguments.x);
    const View<const int64_t, 1> offsets = OffsetsView(arguments.offsets);
    const auto mean = ViewOf<double, 2>(arguments.mean), reciprocal_std = ViewOf<double, 2>(arguments.reciprocal_std);
    GroupNormStatisticsCpu<T>(x, offsets, arguments.options, mean, reciprocal_std);
    GroupNormApplyCpu<T>(x, offsets, arguments.gamma.const_data_ptr<T>(), arguments.beta.const_data_ptr<T>(),
                         arguments.options, mean, reciprocal_std, ViewOf<T, 2>(y), ModulationOf<T>(arguments),
                         OptionalView<T>(residual));
  });
}

void ForwardOnCuda(const Arguments& arguments, const at::Tensor& residual, const at::Tensor& y) {
  const cudaStream_t stream = CurrentStream(y);
  const at::Tensor workspace = WorkspaceOf(arguments);
  float* const mean = arguments.mean.mutable_data_ptr<float>();
  float* const reciprocal_std = arguments.reciprocal_std.mutable_data_ptr<float>();
  DispatchFeature(y.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const auto x = RowsOf<T>(arguments.x);
    CheckCuda(GroupNormStatisticsCuda<T>(x, OffsetsOf(arguments), arguments.options, mean, reciprocal_std,
                                         workspace.mutable_data_ptr(), stream),
              "GroupNorm");
    CheckCuda(
        GroupNormApplyCuda<T>(x, OffsetsOf(arguments), ParametersOf(arguments), arguments.options, mean, reciprocal_std,
                              OptionalData<const T>(residual), static_cast<T*>(y.mutable_data_ptr()), stream),
        "GroupNorm");
  });
}

struct Gradients {
  at::Tensor dx, dgamma, dbeta, dscale, dshift;
};

// The addend may be undefined.
void BackwardOnCpu(const Arguments& arguments, const at::Tensor& dy, const at::Tensor& addend, const Gradients& to) {
  DispatchFloating(dy.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const bool modulated = to.dscale.defined();
    GroupNormBackwardCpu<T>(ViewOf<const T, 2>(dy), ViewOf<const T, 2>(arguments.x), OffsetsView(arguments.offsets),
                            arguments.gamma.const_data_ptr<T>(), arguments.beta.const_data_ptr<T>(), arguments.options,
                            ViewOf<const double, 2>(arguments.mean), ViewOf<const double, 2>(arguments.reciprocal_std),
                            ViewOf<T, 2>(to.dx), to.dgamma.mutable_data_ptr<T>(), to.dbeta.mutable_data_ptr<T>(),
                            ModulationOf<T>(arguments), modulated ? ViewOf<T, 2>(to.dscale) : View<T, 2>(),
                            modulated ? ViewOf<T, 2>(to.dshift) : View<T, 2>(), OptionalView<T>(addend));
  });
}

void BackwardOnCuda(const Arguments& arguments, const at::Tensor& dy, const at::Tensor& addend, const Gradients& to) {
  const at::Tensor workspace = WorkspaceOf(arguments);
  const GroupNormParameterGradients gradients = {OptionalData<float>(to.dgamma), OptionalData<float>(to.dbeta),
                                                 OptionalData<float>(to.dscale), OptionalData<float>(to.dshift)};
  DispatchFeature(dy.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    CheckCuda(
        GroupNormBackwardCuda<T>(OptionalData<const T>(dy), RowsOf<T>(arguments.x), OffsetsOf(arguments),
                                 ParametersOf(arguments), arguments.options, arguments.mean.const_data_ptr<float>(),
                                 arguments.reciprocal_std.const_data_ptr<float>(), OptionalData<const T>(addend),
                                 OptionalData<T>(to.dx), gradients, workspace.mutable_data_ptr(), CurrentStream(dy)),
        "GroupNorm");
  });
}

std::optional<at::Tensor> IfDefined(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

at::Tensor Contiguous(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() ? tensor->contiguous() : at::Tensor();
}

// As it is if channels lie beside each other: half of a [B, 2C] tensor does.
at::Tensor ContiguousRows(const std::optional<at::Tensor>& tensor) {
  return tensor.has_value() && tensor->stride(1) == 1 ? *tensor : Contiguous(tensor);
}

struct GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gamma,
                               const at::Tensor& beta, const std::optional<at::Tensor>& scale,
                               const std::optional<at::Tensor>& shift, const std::optional<at::Tensor>& residual,
                               const GroupNormInputs& inputs, const std::vector<int64_t>& offsets,
                               const GroupNormOptions& options, bool and_input) {
    const bool on_cpu = x.device().is_cpu();
    const int64_t samples = static_cast<int64_t>(offsets.size()) - 1;
    const at::TensorOptions of_statistics = x.options().dtype(on_cpu ? at::kDouble : at::kFloat);
    Arguments arguments = {x.contiguous(),
                           gamma.contiguous(),
                           beta.contiguous(),
                           ContiguousRows(scale),
                           ContiguousRows(shift),
                           at::empty({samples, options.groups}, of_statistics),
                           at::empty({samples, options.groups}, of_statistics),
                           Contiguous(IfDefined(inputs.device_offsets)),
                           offsets,
                           options};
    if (!on_cpu && !arguments.device_offsets.defined()) {
      arguments.device_offsets = at::empty({samples + 1}, x.options().dtype(at::kLong));
      CheckCuda(CopyGroupNormOffsetsCuda(OffsetsView(offsets), arguments.device_offsets.mutable_data_ptr<int64_t>(),
                                         CurrentStream(x)),
                "GroupNorm");
    }
    at::Tensor y = at::empty(x.sizes(), arguments.x.options());
    (on_cpu ? ForwardOnCpu : ForwardOnCuda)(arguments, Contiguous(residual), y);
    context->save_for_backward({arguments.x, arguments.gamma, arguments.beta, arguments.scale, arguments.shift,
                                arguments.mean, arguments.reciprocal_std, arguments.device_offsets});
    context->saved_data["offsets"] = offsets;
    context->saved_data["groups"] = options.groups;
    context->saved_data["epsilon"] = options.epsilon;
    context->saved_data["silu"] = static_cast<int64_t>(options.silu);
    context->saved_data["residual"] = residual.has_value();
    // Where only one of y and x is used further, the other's gradient is not to be made of zeros.
    context->set_materialize_grads(false);
    return and_input ? variable_list{y, x} : variable_list{y};
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const at::Tensor dx_elsewhere = output_gradients.size() > 1 ? output_gradients[1] : at::Tensor();
    variable_list gradients(10);  // as many as forward has arguments
    if (!output_gradients[0].defined()) {
      gradients[0] = dx_elsewhere;
      return gradients;
    }
    const variable_list saved = context->get_saved_variables();
    const Arguments arguments = {saved[0],
                                 saved[1],
                                 saved[2],
                                 saved[3],
                                 saved[4],
                                 saved[5],
                                 saved[6],
                                 saved[7],
                                 context->saved_data["offsets"].toIntVector(),
                                 {context->saved_data["groups"].toInt(), context->saved_data["epsilon"].toDouble(),
                                  static_cast<GroupNormSilu>(context->saved_data["silu"].toInt())}};
    const at::Tensor dy = output_gradients[0].contiguous();
    const at::TensorOptions of_parameters = arguments.gamma.options();
    Gradients to = {at::empty(dy.sizes(), dy.options()), at::empty(arguments.gamma.sizes(), of_parameters),
                    at::empty(arguments.beta.sizes(), of_parameters), at::Tensor(), at::Tensor()};
    if (arguments.scale.defined()) {
      to.dscale = at::empty(arguments.scale.sizes(), of_parameters);
      to.dshift = at::empty(arguments.shift.sizes(), of_parameters);
    }
    (dy.device().is_cpu() ? BackwardOnCpu : BackwardOnCuda)(arguments, dy, Contiguous(IfDefined(dx_elsewhere)), to);
    gradients[0] = to.dx;
    gradients[1] = to.dgamma;
    gradients[2] = to.dbeta;
    gradients[3] = to.dscale;
    gradients[4] = to.dshift;
    if (context->saved_data["residual"].toBool()) gradients[5] = output_gradients[0];
    return gradients;
  }
};

// Checks everything; y, and with `and_input` x.
variable_list Apply(const at::Tensor& x, const std::vector<int64_t>& host_offsets, const at::Tensor& gamma,
                    const at::Tensor& beta, const GroupNormOptions& options, const GroupNormInputs& inputs,
                    bool and_input) {
  const at::Device device = DeviceOf(x, "GroupNorm", "x");
  CheckFloatingTensor(x, "GroupNorm", "x", {-1, -1}, device);
  const int64_t channels = x.size(1), samples = static_cast<int64_t>(host_offsets.size()) - 1;
  const at::ScalarType parameter_dtype = device.is_cpu() ? x.scalar_type() : at::kFloat;
  CheckTensor(gamma, "GroupNorm", "gamma", parameter_dtype, {channels}, device);
  CheckTensor(beta, "GroupNorm", "beta", parameter_dtype, {channels}, device);
  TORCH_CHECK(options.groups > 0 && channels % options.groups == 0, "GroupNorm: ", channels,
              " channels cannot be split into ", options.groups, " equal groups");
  TORCH_CHECK(!host_offsets.empty() && host_offsets.front() == 0 && host_offsets.back() == x.size(0),
              "GroupNorm: host_offsets must begin with 0 and end with the number of rows, ", x.size(0));
  for (size_t b = 1; b < host_offsets.size(); ++b) {
    TORCH_CHECK(host_offsets[b] >= host_offsets[b - 1], "GroupNorm: host_offsets descend at sample ", b - 1);
  }
  if (inputs.scale.defined() || inputs.shift.defined()) {
    CheckTensor(inputs.scale, "GroupNorm", "scale", parameter_dtype, {samples, channels}, device);
    CheckTensor(inputs.shift, "GroupNorm", "shift", parameter_dtype, {samples, channels}, device);
  }
  if (inputs.residual.defined()) {
    CheckTensor(inputs.residual, "GroupNorm", "residual", x.scalar_type(), {x.size(0), channels}, device);
  }
  if (inputs.device_offsets.defined() && !device.is_cpu()) {
    CheckTensor(inputs.device_offsets, "GroupNorm", "device_offsets", at::kLong, {samples + 1}, device);
  }
  return GroupNormFunction::apply(x, gamma, beta, IfDefined(inputs.scale), IfDefined(inputs.shift),
                                  IfDefined(inputs.residual), inputs, host_offsets, options, and_input);
}

}  // namespace

at::Tensor GroupNorm(const at::Tensor& x, const std::vector<int64_t>& host_offsets, const at::Tensor& gamma,
                     const at::Tensor& beta, const GroupNormOptions& options, const GroupNormInputs& inputs) {
  return Apply(x, host_offsets, gamma, beta, options, inputs, /*and_input=*/false)[0];
}

std::pair<at::Tensor, at::Tensor> GroupNormAndInput(const at::Tensor& x, const std::vector<int64_t>& host_offsets,
                                                    const at::Tensor& gamma, const at::Tensor& beta,
                                                    const GroupNormOptions& options, const GroupNormInputs& inputs) {
  const variable_list result = Apply(x, host_offsets, gamma, beta, options, inputs, /*and_input=*/true);
  return {result[0], result[1]};
}

}  // namespace cubist
