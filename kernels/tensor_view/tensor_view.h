// From tensors to views, and the checks that every tensor operation makes of its arguments.
#ifndef CUBIST_KERNELS_TENSOR_VIEW_TENSOR_VIEW_H_
#define CUBIST_KERNELS_TENSOR_VIEW_TENSOR_VIEW_H_

#include <array>
#include <cstdint>
#include <type_traits>

#include "ATen/core/Tensor.h"
#include "base/view.h"

namespace cubist {

// `data` with the shape and strides of the tensor, which must have Rank dimensions.
template <typename T, int Rank>
View<T, Rank> ViewAt(T* data, const at::Tensor& tensor) {
  TORCH_CHECK(tensor.dim() == Rank, "a tensor of ", Rank, " dimensions was expected, not ", tensor.sizes());
  std::array<int64_t, Rank> shape, stride;
  for (int d = 0; d < Rank; ++d) {
    shape[d] = tensor.size(d);
    stride[d] = tensor.stride(d);
  }
  return View<T, Rank>(data, shape, stride);
}

// The tensor's memory, of whatever device, as a view; T (const or not) and Rank must be the tensor's. A CUDA type of
// the same layout as the tensor's (as __nv_bfloat16 for bfloat16) is got by ViewAs. The tensor must outlive the view.
template <typename T, int Rank>
View<T, Rank> ViewOf(const at::Tensor& tensor) {
  if constexpr (std::is_const_v<T>) {
    return ViewAt<T, Rank>(tensor.const_data_ptr<std::remove_const_t<T>>(), tensor);
  } else {
    return ViewAt<T, Rank>(tensor.mutable_data_ptr<T>(), tensor);
  }
}

// ViewOf for a T that has another name than the tensor's element type and the same size.
template <typename T, int Rank>
View<T, Rank> ViewAs(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.element_size() == sizeof(T), "ViewAs: elements of ", sizeof(T), " bytes were expected, not of ",
              tensor.element_size());
  if constexpr (std::is_const_v<T>) {
    return ViewAt<T, Rank>(static_cast<T*>(tensor.const_data_ptr()), tensor);
  } else {
    return ViewAt<T, Rank>(static_cast<T*>(tensor.mutable_data_ptr()), tensor);
  }
}

// Throws c10::Error, naming the operation and the argument, unless `tensor` is defined, on `device` and has
// that dtype and shape; -1 in `shape` stands for any extent. An operation that runs on GPUs too takes the device of its
// first argument (DeviceOf) and checks that all others are there.
void CheckTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::ScalarType dtype,
                 at::IntArrayRef shape, at::Device device = at::kCPU);

// As above, for float32 or float64; on a GPU for float32 or bfloat16.
void CheckFloatingTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::IntArrayRef shape,
                         at::Device device = at::kCPU);

// The device of `tensor`: the CPU or a CUDA device, else throws c10::Error.
at::Device DeviceOf(const at::Tensor& tensor, const char* operation, const char* argument);

// Throws c10::Error unless all entries of `index` (contiguous, int32 or int64) lie in [-1, limit). Entries on a GPU are
// not looked at: the host would have to wait for them.
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
