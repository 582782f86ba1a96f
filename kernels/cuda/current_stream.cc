#include "kernels/cuda/current_stream.h"

#include <c10/cuda/CUDAStream.h>

namespace cubist {

cudaStream_t CurrentStream(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_cuda(), "a tensor on a GPU was expected, not on ", tensor.device());
  int current = 0;
  CheckCuda(cudaGetDevice(&current), "CurrentStream");
  TORCH_CHECK(tensor.get_device() == current, "a tensor on ", tensor.device(),
              " in a thread whose device is cuda:", current);
  return c10::cuda::getCurrentCUDAStream(tensor.get_device()).stream();
}

void CheckCuda(cudaError_t status, const char* operation) {
  TORCH_CHECK(status == cudaSuccess, operation, ": CUDA says ", cudaGetErrorName(status), ": ",
              cudaGetErrorString(status));
}

}  // namespace cubist
