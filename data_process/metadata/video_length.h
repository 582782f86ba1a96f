// How many frames a video has.
#ifndef CUBIST_DATA_PROCESS_METADATA_VIDEO_LENGTH_H_
#define CUBIST_DATA_PROCESS_METADATA_VIDEO_LENGTH_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace cubist {

// Opens the video, decodes its first frame, and counts all: by the index of an mp4 or mov without fragments, which
// names every frame, in milliseconds; of another container by decoding them. At least 1. Errors: those of VideoReader
// (formats/video.h); a frame that the index names and that is damaged goes unseen.
absl::StatusOr<int64_t> VideoLength(const std::string& path);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_VIDEO_LENGTH_H_
