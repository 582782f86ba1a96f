// What cameras see of a clip, written as it is rendered: each frame once, for all attributes that show it.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_IMAGES_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_IMAGES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// Tars of an image a frame, NNNNNN.<name>.front.<extension>:
//   image_480p_front            image            jpg  RGB, quality 100
//   skymask_480p_front          skymask          png  1 bit; true: sky
//   voxel_depth_100_480p_front  voxel_depth_100  png  uint16: z-depth, metres times 100, rounded down; 0: nothing met
//   semantic_buffer_480p_front  semantic_buffer  png  uint8: class; 0 where nothing is met
//   instance_buffer_480p_front  instance_buffer  png  uint16: object_id_int of objects of type car, else 0
const std::vector<std::string>& ImageAttributes();
// Videos of ten frames a second, <clip id>.mp4: video_480p_front, and semantic_buffer_video_480p_front in the colours
// of kBufferColours (scenes/semantic_classes.h).
const std::vector<std::string>& VideoAttributes();

// Makes one video file.
class ClipVideo {
 public:
  virtual ~ClipVideo() = default;
  // uint8 [H,W,3] RGB, always of one size.
  virtual absl::Status Append(const HostTensor& frame) = 0;
  // Completes the file: as a whole or not at all.
  virtual absl::Status Finish() = 0;
};
// Opens a video of that path and size in pixels. synthesis:clip_video has one; a program that links no video encoder
// has none.
using ClipVideoOpener = std::function<absl::StatusOr<std::unique_ptr<ClipVideo>>(FileOps& ops, const std::string& path,
                                                                                 int width, int height)>;

struct ClipImagesOptions {
  std::string folder;  // files are <folder>/<attribute>/<clip id>.tar and .mp4
  std::string clip_id;
  std::vector<std::string> attributes;  // of ImageAttributes and VideoAttributes; others are not looked at
  int width = 832;                      // pixels; even with videos
  int height = 480;
  ClipVideoOpener open_video;  // needed with videos
};

// Renders scene frame by frame (frame_renderer.h; looks by `seed` and `clip`) and writes the attributes' files; holds
// no more than one frame. Before each frame `next_frame` is asked; its error ends it. Errors: StorageError and those of
// next_frame and open_video; unfinished files stay for the caller to remove.
absl::Status WriteClipImages(FileOps& ops, const Scene& scene, uint32_t seed, uint64_t clip,
                             const ClipImagesOptions& options, const std::function<absl::Status()>& next_frame);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_IMAGES_H_
