#include "kernels/tensor_view/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ATen/ops/empty.h"
#include "base/parallel_for.h"
#include "gtest/gtest.h"

namespace cubist {

template <typename T>
at::Tensor TensorOf(const std::vector<T>& values, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, c10::CppTypeToScalarType<T>::value);
  EXPECT_EQ(tensor.numel(), static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), tensor.template mutable_data_ptr<T>());
  return tensor;
}
template at::Tensor TensorOf<float>(const std::vector<float>&, at::IntArrayRef);
template at::Tensor TensorOf<double>(const std::vector<double>&, at::IntArrayRef);
template at::Tensor TensorOf<int32_t>(const std::vector<int32_t>&, at::IntArrayRef);
template at::Tensor TensorOf<int64_t>(const std::vector<int64_t>&, at::IntArrayRef);

void ExpectGradientsMatch(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& operation,
                          const std::vector<at::Tensor>& inputs, double tolerance) {
  constexpr double kStep = 1e-5;
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_());
  const at::Tensor y = operation(leaves);
  at::Tensor u = at::empty(y.sizes(), y.options());
  for (int64_t k = 0; k < u.numel(); ++k) u.mutable_data_ptr<double>()[k] = std::cos(1.7 * k + 0.3);
  y.backward(u);

  std::vector<at::Tensor> probes;
  for (const at::Tensor& input : inputs) probes.push_back(input.detach().clone());
  const auto value = [&] { return operation(probes).mul(u).sum().item<double>(); };
  for (size_t i = 0; i < probes.size(); ++i) {
    ASSERT_TRUE(leaves[i].grad().defined()) << "input " << i << " has no gradient";
    ASSERT_EQ(leaves[i].grad().sizes(), inputs[i].sizes());
    const at::Tensor gradient = leaves[i].grad().contiguous();
    double* const numbers = probes[i].mutable_data_ptr<double>();
    for (int64_t k = 0; k < probes[i].numel(); ++k) {
      const double kept = numbers[k];
      numbers[k] = kept + kStep;
      const double above = value();
      numbers[k] = kept - kStep;
      const double below = value();
      numbers[k] = kept;
      const double wanted = (above - below) / (2 * kStep);
      ASSERT_NEAR(gradient.const_data_ptr<double>()[k], wanted, tolerance * (1 + std::abs(wanted)))
          << "element " << k << " of input " << i;
    }
  }
}

void ExpectSameBitsForAnyThreads(const std::function<std::vector<at::Tensor>()>& compute) {
  const int threads_before = ParallelThreads();
  SetParallelThreads(1);
  const std::vector<at::Tensor> wanted = compute();
  for (const int threads : {2, 3}) {
    SetParallelThreads(threads);
    const std::vector<at::Tensor> got = compute();
    EXPECT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(got[i].sizes(), wanted[i].sizes());
      EXPECT_EQ(std::memcmp(got[i].const_data_ptr(), wanted[i].const_data_ptr(), wanted[i].nbytes()), 0)
          << "tensor " << i << " differs with " << threads << " threads";
    }
  }
  SetParallelThreads(threads_before);
}

}  // namespace cubist
