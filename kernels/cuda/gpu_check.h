// Help for the tests and benchmarks of GPU operations.
#ifndef CUBIST_KERNELS_CUDA_GPU_CHECK_H_
#define CUBIST_KERNELS_CUDA_GPU_CHECK_H_

#include <ATen/core/Tensor.h>

namespace cubist {

// ||got - wanted|| / ||wanted|| (Frobenius), in double, of tensors of one shape on any device; the norm itself where
// wanted is zero. NaN if either holds one.
double RelativeError(const at::Tensor& got, const at::Tensor& wanted);

// Whether shape, dtype and every bit agree, on whatever devices they are.
bool SameBits(const at::Tensor& a, const at::Tensor& b);

// While one lives, new memory of LibTorch's is filled with NaN, or the largest integer: what a kernel leaves unwritten
// is seen. Deterministic algorithms are asked for, too.
class PoisonedMemory {
 public:
  PoisonedMemory();
  ~PoisonedMemory();
  PoisonedMemory(const PoisonedMemory&) = delete;
  PoisonedMemory& operator=(const PoisonedMemory&) = delete;

 private:
  bool deterministic_before_, fill_before_;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_GPU_CHECK_H_
