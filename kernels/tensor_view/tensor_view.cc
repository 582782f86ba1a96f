#include "kernels/tensor_view/tensor_view.h"

#include <atomic>

#include "base/parallel_for.h"

namespace cubist {
namespace {

void CheckPlace(const at::Tensor& tensor, const char* operation, const char* argument, at::IntArrayRef shape,
                at::Device device) {
  TORCH_CHECK(tensor.defined(), operation, ": ", argument, " is an undefined tensor");
  TORCH_CHECK(tensor.device() == device, operation, ": ", argument, " is on ", tensor.device(), "; ", device,
              " was expected");
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t d = 0; fits && d < shape.size(); ++d) fits = shape[d] == -1 || shape[d] == tensor.size(d);
  TORCH_CHECK(fits, operation, ": ", argument, " has shape ", tensor.sizes(), "; ", shape,
              " was expected (-1: any extent)");
}

template <typename Index>
bool InRange(const at::Tensor& index, int64_t limit) {
  const Index* values = index.const_data_ptr<Index>();
  std::atomic<bool> good{true};
  ParallelFor(index.numel(), 1 << 16, [&](int64_t begin, int64_t end) {
    bool block_good = true;
    for (int64_t i = begin; i < end; ++i) block_good &= values[i] >= -1 && values[i] < limit;
    if (!block_good) good.store(false, std::memory_order_relaxed);
  });
  return good;
}

}  // namespace

void CheckTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::ScalarType dtype,
                 at::IntArrayRef shape, at::Device device) {
  CheckPlace(tensor, operation, argument, shape, device);
  TORCH_CHECK(tensor.scalar_type() == dtype, operation, ": ", argument, " is ", tensor.scalar_type(), "; ", dtype,
              " was expected");
}

void CheckFloatingTensor(const at::Tensor& tensor, const char* operation, const char* argument, at::IntArrayRef shape,
                         at::Device device) {
  CheckPlace(tensor, operation, argument, shape, device);
  const at::ScalarType other = device.is_cpu() ? at::kDouble : at::kBFloat16;
  TORCH_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == other, operation, ": ", argument, " is ",
              tensor.scalar_type(), "; ", at::kFloat, " or ", other, " was expected");
}

at::Device DeviceOf(const at::Tensor& tensor, const char* operation, const char* argument) {
  TORCH_CHECK(tensor.defined(), operation, ": ", argument, " is an undefined tensor");
  TORCH_CHECK(tensor.device().is_cpu() || tensor.is_cuda(), operation, ": ", argument, " is on ", tensor.device(),
              "; this operation runs on the CPU and on CUDA devices");
  return tensor.device();
}

void CheckIndexRange(const at::Tensor& index, const char* operation, const char* argument, int64_t limit) {
  if (!index.device().is_cpu()) return;
  const bool good = index.scalar_type() == at::kInt ? InRange<int32_t>(index, limit) : InRange<int64_t>(index, limit);
  TORCH_CHECK(good, operation, ": ", argument, " has an entry outside [-1, ", limit, ")");
}

}  // namespace cubist
