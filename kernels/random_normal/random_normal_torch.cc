#include "kernels/random_normal/random_normal_torch.h"

#include "ATen/ops/empty.h"
#include "kernels/random_normal/random_normal.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

template <typename T>
View<T, 1> FlatView(const at::Tensor& tensor) {
  return View<T, 1>(tensor.mutable_data_ptr<T>(), {tensor.numel()});
}

void CheckFilled(const at::Tensor& tensor, const char* operation) {
  CheckFloatingTensor(tensor, operation, "tensor", tensor.defined() ? tensor.sizes() : at::IntArrayRef());
  TORCH_CHECK(tensor.is_contiguous(), operation, ": tensor is not contiguous");
}

}  // namespace

at::Tensor RandomNormal(at::IntArrayRef shape, uint32_t seed, RandomPurpose purpose, const at::Tensor& draws,
                        at::ScalarType dtype) {
  TORCH_CHECK(!shape.empty(), "RandomNormal: shape has no sample dimension");
  CheckTensor(draws, "RandomNormal", "draws", at::kLong, {shape[0]});
  const at::Tensor dense_draws = draws.contiguous();
  for (int64_t b = 0; b < shape[0]; ++b) {
    const int64_t draw = dense_draws.const_data_ptr<int64_t>()[b];
    TORCH_CHECK(draw >= 0, "RandomNormal: draws[", b, "] is ", draw);
  }
  at::Tensor values = at::empty(shape, draws.options().dtype(dtype));
  if (values.numel() == 0) return values;
  DispatchFloating(dtype, [&](auto zero) {
    using T = decltype(zero);
    RandomNormalCpu<T>(PhiloxKey(seed, purpose), ViewOf<const int64_t, 1>(dense_draws),
                       View<T, 2>(values.mutable_data_ptr<T>(), {shape[0], values.numel() / shape[0]}));
  });
  return values;
}

void FillUniform(const at::Tensor& tensor, uint32_t seed, uint64_t n, double bound) {
  CheckFilled(tensor, "FillUniform");
  DispatchFloating(tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RandomUniformCpu<T>(PhiloxKey(seed, RandomPurpose::kParameterInit), n, -bound, 2.0 * bound, FlatView<T>(tensor));
  });
}

void FillNormal(const at::Tensor& tensor, uint32_t seed, uint64_t n, double standard_deviation) {
  CheckFilled(tensor, "FillNormal");
  DispatchFloating(tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RandomScaledNormalCpu<T>(PhiloxKey(seed, RandomPurpose::kParameterInit), n, standard_deviation,
                             FlatView<T>(tensor));
  });
}

}  // namespace cubist
