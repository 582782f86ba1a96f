#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/jpeg.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  ImageLimits limits;
  limits.max_pixels = kFuzzBytes / 3;
  const auto image = ParseJpeg(bytes, kFuzzName, limits);
  if (!Accepted(image.status())) return false;
  Walk(*image);
  const std::vector<int64_t>& shape = image->shape();
  Require(shape.size() == 2 || (shape.size() == 3 && shape[2] == 3), "an image is [H,W] or [H,W,3]");
  Require(shape[0] > 0 && shape[1] > 0 && image->byte_size() <= kFuzzBytes, "an image is within its limit");
  if (image->byte_size() > 10000) return true;
  const auto again = ParseJpeg(FormatJpeg(*image, 90), kFuzzName);
  Require(again.ok() && again->shape() == shape, "an image that is written is read again");
  return true;
}

}  // namespace cubist
