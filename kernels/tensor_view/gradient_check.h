// Help for the tests of tensor operations: tensors from vectors, gradients by finite differences, and
// equality of results for different numbers of threads.
#ifndef CUBIST_KERNELS_TENSOR_VIEW_GRADIENT_CHECK_H_
#define CUBIST_KERNELS_TENSOR_VIEW_GRADIENT_CHECK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "ATen/core/Tensor.h"

namespace cubist {

// A CPU tensor with a copy of `values`, of dtype float32, float64, int32 or int64.
template <typename T>
at::Tensor TensorOf(const std::vector<T>& values, at::IntArrayRef shape);

// Expects (by GoogleTest) that the gradients of <operation(inputs), u>, u fixed and uneven, equal central
// differences for every element of every input. Inputs are float64; they are changed and put back.
void ExpectGradientsMatch(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& operation,
                          const std::vector<at::Tensor>& inputs, double tolerance = 1e-6);

// Expects that `compute` gives tensors of the same bits with 1, 2 and 3 threads of ParallelFor.
void ExpectSameBitsForAnyThreads(const std::function<std::vector<at::Tensor>()>& compute);

}  // namespace cubist

#endif  // CUBIST_KERNELS_TENSOR_VIEW_GRADIENT_CHECK_H_
