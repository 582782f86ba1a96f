#include "kernels/cuda/gpu_check.h"

#include <ATen/Context.h>

#include <cstring>

namespace cubist {

double RelativeError(const at::Tensor& got, const at::Tensor& wanted) {
  const at::Tensor difference = got.detach().cpu().to(at::kDouble).sub(wanted.detach().cpu().to(at::kDouble));
  const double norm = wanted.detach().to(at::kDouble).norm().item<double>();
  return difference.norm().item<double>() / (norm == 0 ? 1 : norm);
}

bool SameBits(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const at::Tensor left = a.detach().cpu().contiguous(), right = b.detach().cpu().contiguous();
  return left.nbytes() == 0 || std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

PoisonedMemory::PoisonedMemory()
    : deterministic_before_(at::globalContext().deterministicAlgorithms()),
      fill_before_(at::globalContext().deterministicFillUninitializedMemory()) {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(true);
}

PoisonedMemory::~PoisonedMemory() {
  at::globalContext().setDeterministicAlgorithms(deterministic_before_, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(fill_before_);
}

}  // namespace cubist
