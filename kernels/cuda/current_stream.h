// Where own CUDA kernels run beside LibTorch's.
#ifndef CUBIST_KERNELS_CUDA_CURRENT_STREAM_H_
#define CUBIST_KERNELS_CUDA_CURRENT_STREAM_H_

#include <ATen/core/Tensor.h>
#include <cuda_runtime_api.h>

namespace cubist {

// The stream that LibTorch's operations on `tensor` are put on by this thread: what runs there comes after what made
// the tensor. Throws c10::Error unless the tensor is on the thread's current CUDA device.
cudaStream_t CurrentStream(const at::Tensor& tensor);

// Throws c10::Error, naming the operation, unless `status` is cudaSuccess.
void CheckCuda(cudaError_t status, const char* operation);

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_CURRENT_STREAM_H_
