// What readers of images and videos believe of a file before they allocate.
#ifndef CUBIST_DATA_PROCESS_FORMATS_IMAGE_LIMITS_H_
#define CUBIST_DATA_PROCESS_FORMATS_IMAGE_LIMITS_H_

#include <cstdint>

namespace cubist {

struct ImageLimits {
  int64_t max_pixels = int64_t{1} << 26;  // width times height: 8192 x 8192
};

struct VideoLimits {
  int64_t max_pixels = int64_t{1} << 26;  // of a frame
  int64_t max_frames = int64_t{1} << 16;
  double max_seconds = 600;  // spent in one reader, by the steady clock
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_IMAGE_LIMITS_H_
