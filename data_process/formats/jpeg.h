// JPEG images as arrays.
#ifndef CUBIST_DATA_PROCESS_FORMATS_JPEG_H_
#define CUBIST_DATA_PROCESS_FORMATS_JPEG_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "data_process/formats/image_limits.h"

namespace cubist {

// uint8 [H,W,3] RGB, or [H,W] for grey files: the pixels that Pillow decodes, bit for bit (accurate integer transform,
// smooth chroma upsampling). An EXIF orientation is not applied.
// `what` names the file and member in messages. Errors: DataError: damaged or truncated (libjpeg's warnings count),
// CMYK, other than 8 bits a sample, larger than the limits, or of more scans than an encoder makes.
absl::StatusOr<HostTensor> ParseJpeg(std::string_view bytes, std::string_view what, const ImageLimits& limits = {});

// `image`: uint8 [H,W,3] RGB or [H,W] grey, sides of 1 to 65500; `quality`: 1 to 100. Chroma at half resolution both
// ways at every quality, Pillow's default. Deterministic. Another dtype, shape or quality aborts: that is our bug.
std::string FormatJpeg(const HostTensor& image, int quality);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_JPEG_H_
