#include "data_process/inspection/video_check.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

bool HasVideoEnding(std::string_view name) {
  const absl::string_view text(name.data(), name.size());
  for (const char* ending : {".mp4", ".avi", ".mov", ".wmv", ".mkv", ".flv", ".webm"}) {
    if (absl::EndsWithIgnoreCase(text, ending)) return true;
  }
  return false;
}

absl::StatusOr<VideoContents> CheckVideo(const std::string& path, bool every_frame, const VideoLimits& limits) {
  ASSIGN_OR_RETURN(const auto reader, VideoReader::Open(path, limits));
  int64_t frames = 0;
  bool more = true;
  while (more && (every_frame || frames == 0)) {
    ASSIGN_OR_RETURN(more, reader->Skip());
    frames += more ? 1 : 0;
  }
  if (frames == 0) return DataError(absl::StrCat(path, ": the video has no frame"));
  VideoContents contents{reader->width(), reader->height(), reader->frames_per_second(), std::nullopt};
  if (every_frame) contents.frames = frames;
  return contents;
}

}  // namespace cubist
