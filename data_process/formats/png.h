// PNG images as arrays.
#ifndef CUBIST_DATA_PROCESS_FORMATS_PNG_H_
#define CUBIST_DATA_PROCESS_FORMATS_PNG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "data_process/formats/image_limits.h"

namespace cubist {

// The pixels in their own depth, without any colour conversion:
//   1-bit grey -> bool [H,W]; 2-, 4- and 8-bit grey -> uint8 [H,W] (2 and 4 bits scaled to 0..255);
//   grey with alpha, RGB, RGBA -> uint8 [H,W,2|3|4]; palette -> uint8 [H,W,3] or, with transparency,
//   [H,W,4]; 16 bits -> uint16 of the same shapes.
// `what` names the file and member in messages. Errors: DataError: damaged or truncated (up to and
// with the end chunk), or larger than the limits.
absl::StatusOr<HostTensor> ParsePng(std::string_view bytes, std::string_view what, const ImageLimits& limits = {});

// uint8 [H,W,3] or [H,W], uint16 [H,W], or bool [H,W] as 1-bit grey; H and W at least 1. Lossless and
// deterministic. Another dtype or shape aborts: that is our bug.
std::string FormatPng(const HostTensor& image);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_PNG_H_
