// Between arrays on the host and tensors.
#ifndef CUBIST_TOOLS_TASKS_HOST_TENSOR_TORCH_H_
#define CUBIST_TOOLS_TASKS_HOST_TENSOR_TORCH_H_

#include <ATen/core/Tensor.h>

#include "base/host_tensor.h"

namespace cubist {

// The dtype's counterpart. Unsigned 16, 32 and 64-bit integers have one too.
at::ScalarType ScalarTypeOf(DType dtype);
DType DTypeOfScalarType(at::ScalarType type);

// A copy on `device`, of the same dtype and shape.
at::Tensor FromHost(const HostTensor& array, at::Device device);
// A copy on the host; waits for the device.
HostTensor ToHost(const at::Tensor& tensor);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_HOST_TENSOR_TORCH_H_
