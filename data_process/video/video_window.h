// A window of a clip as the video model sees it: consecutive frames of the front camera's video, the caption, and the
// guidance buffers with their cameras.
#ifndef CUBIST_DATA_PROCESS_VIDEO_VIDEO_WINDOW_H_
#define CUBIST_DATA_PROCESS_VIDEO_VIDEO_WINDOW_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_archive.h"

namespace cubist {

// Folders of data_root. One that is empty is not read, and what it would give has no rows; the video is always read.
struct VideoWindowAttributes {
  std::string video = "video_480p_front";                           // <clip>.mp4
  std::string caption = "caption";                                  // <clip>.json
  std::string semantic_video = "semantic_buffer_video_480p_front";  // <clip>.mp4
  std::string semantic_buffer;                                      // tars of PNGs, as those below
  std::string instance_buffer;
  std::string depth = "voxel_depth_100_480p_front";
  bool cameras = true;  // tars pose and intrinsic
};

// F frames. All images of a window are of the video's size.
struct VideoWindow {
  std::string clip;
  int64_t first_frame = 0;
  std::string prompt;          // the fixed sentence and the caption (metadata/caption.h); empty without captions
  HostTensor video;            // uint8 [F,H,W,3], RGB
  HostTensor semantic_video;   // uint8 [F,H,W,3], RGB by the palette, blurred by its compression
  HostTensor semantic_buffer;  // uint8 [F,H,W], class ids
  HostTensor instance_buffer;  // uint16 [F,H,W], object_id_int
  HostTensor depth;            // uint16 [F,H,W], cm along the optical axis, 0: nothing was hit
  HostTensor camera_to_world;  // float64 [F,4,4] or [0,4,4], OpenCV camera axes
  HostTensor intrinsics;       // float64 [6] or [0]: fx, fy, cx, cy, width, height, px of the video
};

class VideoWindowReader {
 public:
  // ConfigError when `attributes` names no video.
  static absl::StatusOr<std::unique_ptr<VideoWindowReader>> Create(const std::string& data_root,
                                                                   const VideoWindowAttributes& attributes,
                                                                   const ReadLimits& limits);

  // Frames first_frame to first_frame + count - 1, at least one. A video is decoded from its start: the reference's
  // have one key frame. Any thread may call. Errors: DataErrors that name the file: missing or damaged, too few frames,
  // a buffer of another size than the video or of another dtype, a pose or intrinsics that are none.
  absl::StatusOr<VideoWindow> Read(const std::string& clip, int64_t first_frame, int64_t count);

 private:
  VideoWindowReader(const std::string& data_root, const VideoWindowAttributes& attributes, const ReadLimits& limits);

  absl::StatusOr<HostTensor> ReadVideo(const std::string& attribute, const std::string& clip, int64_t first_frame,
                                       int64_t count) const;
  absl::StatusOr<HostTensor> ReadBuffer(const std::string& attribute, const std::string& clip, int64_t first_frame,
                                        int64_t count, const std::string& kind, DType dtype, const HostTensor& video);

  const std::string data_root_;
  const VideoWindowAttributes attributes_;
  ClipArchive archive_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_VIDEO_VIDEO_WINDOW_H_
