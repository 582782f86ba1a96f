#include "tools/tasks/host_tensor_torch.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <cstring>

namespace cubist {

at::ScalarType ScalarTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return at::kBool;
    case DType::kUInt8:
      return at::kByte;
    case DType::kInt8:
      return at::kChar;
    case DType::kUInt16:
      return at::kUInt16;
    case DType::kInt16:
      return at::kShort;
    case DType::kUInt32:
      return at::kUInt32;
    case DType::kInt32:
      return at::kInt;
    case DType::kUInt64:
      return at::kUInt64;
    case DType::kInt64:
      return at::kLong;
    case DType::kFloat16:
      return at::kHalf;
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat64:
      return at::kDouble;
  }
  TORCH_CHECK(false, "no such dtype");
}

DType DTypeOfScalarType(at::ScalarType type) {
  for (int i = 0; i <= static_cast<int>(DType::kFloat64); ++i) {
    if (ScalarTypeOf(static_cast<DType>(i)) == type) return static_cast<DType>(i);
  }
  TORCH_CHECK(false, "no array dtype for a tensor of type ", type);
}

at::Tensor FromHost(const HostTensor& array, at::Device device) {
  at::Tensor tensor = at::empty(array.shape(), at::TensorOptions().dtype(ScalarTypeOf(array.dtype())));
  // An empty tensor may have no memory at all.
  if (array.size() > 0) std::memcpy(tensor.mutable_data_ptr(), array.bytes(), array.byte_size());
  return tensor.to(device);
}

HostTensor ToHost(const at::Tensor& tensor) {
  const at::Tensor source = tensor.detach().to(at::kCPU).contiguous();
  HostTensor array(DTypeOfScalarType(source.scalar_type()), source.sizes().vec());
  if (array.size() > 0) std::memcpy(array.bytes(), source.const_data_ptr(), array.byte_size());
  return array;
}

}  // namespace cubist
