#include "data_process/metadata/video_length.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/video.h"

namespace cubist {

absl::StatusOr<int64_t> VideoLength(const std::string& path) {
  const VideoLimits limits;
  ASSIGN_OR_RETURN(const std::unique_ptr<VideoReader> reader, VideoReader::Open(path, limits));
  // That the codec can read it, too.
  ASSIGN_OR_RETURN(const bool decoded, reader->Skip());
  const int64_t indexed = reader->indexed_frames().value_or(0);
  if (!decoded || indexed == 0) return CountFrames(path, limits);
  if (indexed > limits.max_frames) {
    return DataError(
        absl::StrCat(path, ": its index has ", indexed, " frames, more than the limit of ", limits.max_frames));
  }
  return indexed;
}

}  // namespace cubist
