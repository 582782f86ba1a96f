// Between host arrays and tensors, with failures as statuses. For the tensor layers of the grid operations.
#ifndef CUBIST_KERNELS_VOXEL_GRID_TENSOR_BRIDGE_H_
#define CUBIST_KERNELS_VOXEL_GRID_TENSOR_BRIDGE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/host_tensor.h"

namespace cubist {

// The same memory as a CPU tensor, which keeps it alive. bool, int32, int64, float32 and float64.
at::Tensor TensorOf(const HostTensor& array);

// OK when `tensor` has that dtype and shape (-1: any extent) and is on `device`; without one, on the CPU or on a CUDA
// device. ConfigError for another device, InternalError otherwise. Both name operation and argument.
absl::Status CheckTensorOn(const at::Tensor& tensor, std::string_view operation, std::string_view argument,
                           at::ScalarType dtype, const std::vector<int64_t>& shape,
                           std::optional<at::Device> device = std::nullopt);

// The same for operations that have code for the CPU only.
absl::Status CheckCpuTensor(const at::Tensor& tensor, std::string_view operation, std::string_view argument,
                            at::ScalarType dtype, const std::vector<int64_t>& shape);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_TENSOR_BRIDGE_H_
