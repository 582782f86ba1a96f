#include "kernels/voxel_grid/tensor_bridge.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace cubist {
namespace {

at::ScalarType ScalarTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return at::kBool;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt64:
      return at::kLong;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat64:
      return at::kDouble;
    default:
      return at::ScalarType::Undefined;
  }
}

}  // namespace

at::Tensor TensorOf(const HostTensor& array) {
  const at::TensorOptions options = at::TensorOptions().dtype(ScalarTypeOf(array.dtype()));
  if (array.size() == 0) return at::empty(array.shape(), options);
  HostTensor owner = array;
  void* data = owner.bytes();
  return at::from_blob(
      data, array.shape(), [owner](void*) mutable { owner = HostTensor(); }, options);
}

absl::Status CheckTensorOn(const at::Tensor& tensor, std::string_view operation, std::string_view argument,
                           at::ScalarType dtype, const std::vector<int64_t>& shape, std::optional<at::Device> device) {
  const std::string place = absl::StrCat(std::string(operation), ": ", std::string(argument));
  if (!tensor.defined()) return InternalError(absl::StrCat(place, " is an undefined tensor"));
  if (device.has_value() ? tensor.device() != *device : !tensor.device().is_cpu() && !tensor.is_cuda()) {
    return ConfigError(absl::StrCat(place, " is on ", tensor.device().str(), "; ",
                                    device.has_value() ? device->str() : "the CPU or a CUDA device", " was expected"));
  }
  bool fits = tensor.scalar_type() == dtype && tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t d = 0; fits && d < shape.size(); ++d) fits = shape[d] == -1 || shape[d] == tensor.size(d);
  if (fits) return absl::OkStatus();
  return InternalError(absl::StrCat(place, " is ", c10::toString(tensor.scalar_type()), "[",
                                    absl::StrJoin(tensor.sizes(), ","), "]; ", c10::toString(dtype), "[",
                                    absl::StrJoin(shape, ","), "] was expected (-1: any extent)"));
}

absl::Status CheckCpuTensor(const at::Tensor& tensor, std::string_view operation, std::string_view argument,
                            at::ScalarType dtype, const std::vector<int64_t>& shape) {
  if (tensor.defined() && !tensor.device().is_cpu()) {
    return ConfigError(absl::StrCat(std::string(operation), ": ", std::string(argument), " is on ",
                                    tensor.device().str(),
                                    ", but this operation has only a CPU version here; run with --device cpu"));
  }
  return CheckTensorOn(tensor, operation, argument, dtype, shape, at::kCPU);
}

}  // namespace cubist
