// Whether a video opens and decodes.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_VIDEO_CHECK_H_
#define CUBIST_DATA_PROCESS_INSPECTION_VIDEO_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "data_process/formats/video.h"

namespace cubist {

// Whether a file's name ends as videos do: .mp4 .avi .mov .wmv .mkv .flv .webm, in upper or lower case.
bool HasVideoEnding(std::string_view name);

struct VideoContents {
  int64_t width = 0;  // pixels
  int64_t height = 0;
  double frames_per_second = 0;   // 0: the file does not say
  std::optional<int64_t> frames;  // decoded; only with `every_frame`
};

// Opens the file and decodes its first frame, or all of them. Errors: those of VideoReader (formats/video.h).
absl::StatusOr<VideoContents> CheckVideo(const std::string& path, bool every_frame, const VideoLimits& limits = {});

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_VIDEO_CHECK_H_
