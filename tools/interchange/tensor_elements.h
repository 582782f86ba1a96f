// The elements of a tensor by their C++ type, also of those types that C++ has not.
#ifndef CUBIST_TOOLS_INTERCHANGE_TENSOR_ELEMENTS_H_
#define CUBIST_TOOLS_INTERCHANGE_TENSOR_ELEMENTS_H_

#include <Eigen/Core>
#include <cstdint>
#include <cstdlib>

#include "base/host_tensor.h"

namespace cubist {

// function(const T* elements), where T is what the dtype says: uint8_t for bool, Eigen::half and Eigen::bfloat16 for
// half precision.
template <typename Function>
auto WithElements(const HostTensor& tensor, Function&& function) {
  const std::byte* bytes = tensor.bytes();
  switch (tensor.dtype()) {
    case DType::kBool:
    case DType::kUInt8:
      return function(reinterpret_cast<const uint8_t*>(bytes));
    case DType::kInt8:
      return function(reinterpret_cast<const int8_t*>(bytes));
    case DType::kUInt16:
      return function(reinterpret_cast<const uint16_t*>(bytes));
    case DType::kInt16:
      return function(reinterpret_cast<const int16_t*>(bytes));
    case DType::kUInt32:
      return function(reinterpret_cast<const uint32_t*>(bytes));
    case DType::kInt32:
      return function(reinterpret_cast<const int32_t*>(bytes));
    case DType::kUInt64:
      return function(reinterpret_cast<const uint64_t*>(bytes));
    case DType::kInt64:
      return function(reinterpret_cast<const int64_t*>(bytes));
    case DType::kFloat16:
      return function(reinterpret_cast<const Eigen::half*>(bytes));
    case DType::kBFloat16:
      return function(reinterpret_cast<const Eigen::bfloat16*>(bytes));
    case DType::kFloat32:
      return function(reinterpret_cast<const float*>(bytes));
    case DType::kFloat64:
      return function(reinterpret_cast<const double*>(bytes));
  }
  std::abort();  // not a dtype
}

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TENSOR_ELEMENTS_H_
