// Pinhole intrinsics as the data has them: fx, fy, cx, cy, width, height in pixels. Pixel (u, v) looks along
// ((u - cx) / fx, (v - cy) / fy, 1) in OpenCV axes, with whole numbers u and v at pixels' corners.
#ifndef CUBIST_DATA_PROCESS_SCENES_INTRINSICS_H_
#define CUBIST_DATA_PROCESS_SCENES_INTRINSICS_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

using Intrinsics = std::array<double, 6>;

// A float64 [6] array as intrinsics. DataError, with `what` in front, for another dtype or shape, values that are not
// finite, and focal lengths or sizes that are not positive.
absl::StatusOr<Intrinsics> IntrinsicsFrom(const HostTensor& tensor, std::string_view what);

// Those of the same picture at another size: each axis has its own factor, because the data's images are squeezed.
Intrinsics ScaleIntrinsics(const Intrinsics& intrinsics, int64_t width, int64_t height);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_INTRINSICS_H_
