#include "kernels/random_normal/random_normal_torch.h"

#include <array>

#include "ATen/ops/empty.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/random_normal/random_normal.h"
#include "kernels/random_normal/random_normal_cuda.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

template <typename T>
View<T, 1> FlatView(const at::Tensor& tensor) {
  return View<T, 1>(tensor.mutable_data_ptr<T>(), {tensor.numel()});
}

void CheckFilled(const at::Tensor& tensor, const char* operation) {
  const at::Device device = DeviceOf(tensor, operation, "tensor");
  if (device.is_cpu()) {
    CheckFloatingTensor(tensor, operation, "tensor", tensor.sizes());
  } else {
    CheckTensor(tensor, operation, "tensor", at::kFloat, tensor.sizes(), device);
  }
  TORCH_CHECK(tensor.is_contiguous(), operation, ": tensor is not contiguous");
}

// A negative draw on a GPU is not looked for: the host would have to wait for it.
void CheckDraws(const at::Tensor& draws) {
  if (!draws.device().is_cpu()) return;
  for (int64_t b = 0; b < draws.size(0); ++b) {
    const int64_t draw = draws.const_data_ptr<int64_t>()[b];
    TORCH_CHECK(draw >= 0, "RandomNormal: draws[", b, "] is ", draw);
  }
}

}  // namespace

at::Tensor RandomNormal(at::IntArrayRef shape, uint32_t seed, RandomPurpose purpose, const at::Tensor& draws,
                        at::ScalarType dtype) {
  TORCH_CHECK(!shape.empty(), "RandomNormal: shape has no sample dimension");
  const at::Device device = DeviceOf(draws, "RandomNormal", "draws");
  CheckTensor(draws, "RandomNormal", "draws", at::kLong, {shape[0]}, device);
  const at::Tensor dense_draws = draws.contiguous();
  CheckDraws(dense_draws);
  at::Tensor values = at::empty(shape, draws.options().dtype(dtype));
  CheckFilled(values, "RandomNormal");
  if (values.numel() == 0) return values;
  const std::array<int64_t, 2> rows = {shape[0], values.numel() / shape[0]};
  const PhiloxKey key(seed, purpose);
  const View<const int64_t, 1> draw_view = ViewOf<const int64_t, 1>(dense_draws);
  if (device.is_cuda()) {
    CheckCuda(
        RandomNormalCuda(key, draw_view, View<float, 2>(values.mutable_data_ptr<float>(), rows), CurrentStream(values)),
        "RandomNormal");
    return values;
  }
  DispatchFloating(dtype, [&](auto zero) {
    using T = decltype(zero);
    RandomNormalCpu<T>(key, draw_view, View<T, 2>(values.mutable_data_ptr<T>(), rows));
  });
  return values;
}

void FillUniform(const at::Tensor& tensor, uint32_t seed, uint64_t n, double bound) {
  CheckFilled(tensor, "FillUniform");
  const PhiloxKey key(seed, RandomPurpose::kParameterInit);
  if (tensor.is_cuda()) {
    CheckCuda(RandomUniformCuda(key, n, -bound, 2.0 * bound, FlatView<float>(tensor), CurrentStream(tensor)),
              "FillUniform");
    return;
  }
  DispatchFloating(tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RandomUniformCpu<T>(key, n, -bound, 2.0 * bound, FlatView<T>(tensor));
  });
}

void FillNormal(const at::Tensor& tensor, uint32_t seed, uint64_t n, double standard_deviation) {
  CheckFilled(tensor, "FillNormal");
  const PhiloxKey key(seed, RandomPurpose::kParameterInit);
  if (tensor.is_cuda()) {
    CheckCuda(RandomScaledNormalCuda(key, n, standard_deviation, FlatView<float>(tensor), CurrentStream(tensor)),
              "FillNormal");
    return;
  }
  DispatchFloating(tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RandomScaledNormalCpu<T>(key, n, standard_deviation, FlatView<T>(tensor));
  });
}

}  // namespace cubist
