// Videos. FFmpeg itself is not instrumented.
#include "data_process/formats/fuzz/fuzz_target.h"
#include "data_process/formats/video.h"

namespace cubist {

bool FuzzFormat(std::string_view bytes) {
  const MemoryFile file(bytes);
  VideoLimits limits;
  limits.max_pixels = 1 << 16;
  limits.max_frames = 40;
  limits.max_seconds = 10;
  const auto reader = VideoReader::Open(file.path(), limits);
  if (!Accepted(reader.status(), file.path())) return false;
  const int64_t width = (*reader)->width(), height = (*reader)->height();
  Require(width > 0 && height > 0 && width * height <= limits.max_pixels, "frames are within their limit");
  Require((*reader)->frames_per_second() >= 0, "a frame rate is not negative");
  for (int64_t count = 0;; ++count) {
    const auto frame = (*reader)->Next();
    if (!Accepted(frame.status(), file.path())) return false;
    Require(frame->has_value() ? count < limits.max_frames : count > 0,
            "a video has frames, and no more than the limit");
    if (!frame->has_value()) return true;
    Walk(**frame);
    Require((*frame)->shape() == std::vector<int64_t>{height, width, 3}, "all frames are [H,W,3]");
  }
}

}  // namespace cubist
