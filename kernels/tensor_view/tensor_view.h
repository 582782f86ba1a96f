// From tensors to views, and the checks that every tensor operation makes of its arguments.
#ifndef CUBIST_KERNELS_TENSOR_VIEW_TENSOR_VIEW_H_
#define CUBIST_KERNELS_TENSOR_VIEW_TENSOR_VIEW_H_

#include <array>
#include <cstdint>
#include <type_traits>

#include "ATen/core/Tensor.h"
#include "base/view.h"

namespace cubist {

// The tensor's memory as a view; T (const or not) and Rank must be the tensor's, which must be on the CPU.
// The tensor must outlive the view.
template <typename T, int Rank>
View<T, Rank> ViewOf(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.dim() == Rank, "ViewOf: a tensor of ", Rank, " dimensions was expected, not ", tensor.sizes());
  std::array<int64_t, Rank> shape, stride;
  for (int d = 0; d < Rank; ++d) {
    shape[d] = tensor.size(d);
    stride[d] = tensor.stride(d);
  }
  if constexpr (std::is_const_v<T>) {
    return View<T, Rank>(tensor.const_data_ptr<std::remove_const_t<T>>(), shape, stride);
  } else {
    return View<T, Rank>(tensor.mutable_data_ptr<T>(), shape, stride);
  }
}

// Throws c10::Error, naming the operation and the argument, unless `tensor` is defined, on the CPU and has
// that dtype and shape; -1 in `shape` stands for any extent.
void CheckTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::ScalarType dtype,
                 at::IntArrayRef shape);

// As above, for float32 or float64.
void CheckFloatingTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::IntArrayRef shape);

// Throws c10::Error unless all entries of `index` (contiguous, int32 or int64, on the CPU) lie in [-1, limit).
void CheckIndexRange(const at::Tensor& index, const char* operation, const char* argument, int64_t limit);

// Calls body with a float or double, the element type of a floating dtype.
template <typename Body>
void DispatchFloating(at::ScalarType dtype, const Body& body) {
  if (dtype == at::kFloat) {
    body(float{});
  } else {
    TORCH_CHECK(dtype == at::kDouble, "float32 or float64 was expected, not ", dtype);
    body(double{});
  }
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_TENSOR_VIEW_TENSOR_VIEW_H_
