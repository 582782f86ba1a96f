// From a tensor's dtype to the C++ type that a kernel's launcher takes.
#ifndef CUBIST_KERNELS_CUDA_DISPATCH_H_
#define CUBIST_KERNELS_CUDA_DISPATCH_H_

#include <ATen/core/Tensor.h>
#include <cuda_bf16.h>

namespace cubist {

// Calls body with a float or __nv_bfloat16, the element type of a dtype of features on a GPU.
template <typename Body>
void DispatchFeature(at::ScalarType dtype, const Body& body) {
  if (dtype == at::kFloat) {
    body(float{});
  } else {
    body(__nv_bfloat16{});
  }
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_DISPATCH_H_
