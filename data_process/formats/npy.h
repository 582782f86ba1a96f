// Arrays in NumPy's .npy format, versions 1.0 to 3.0.
// Format: NumPy Enhancement Proposal 1 and numpy.lib.format.
#ifndef CUBIST_DATA_PROCESS_FORMATS_NPY_H_
#define CUBIST_DATA_PROCESS_FORMATS_NPY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

struct NpyLimits {
  uint64_t max_array_bytes = uint64_t{4} << 30;
};

// One array of bool, (u)int8 to (u)int64, float16, float32 or float64. Arrays in Fortran order come
// out row-major. Shapes () and (0,) are fine. Bytes other than 0 and 1 in a bool array count as 1.
// `what` names the file and member in messages. Errors: DataError, for anything else: big-endian,
// structured and object dtypes, sizes that do not match the data exactly, damaged headers.
absl::StatusOr<HostTensor> ParseNpy(std::string_view bytes, std::string_view what, const NpyLimits& limits = {});

// The bytes that numpy.save writes (version 1.0, C order). bfloat16, which NumPy does not know, is
// written as the float32 of the same value.
std::string FormatNpy(const HostTensor& tensor);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_NPY_H_
