// The images of a sample: what the model sees and what it is compared with, with their masks, depth and cameras.
//
// 1. Frames are the start frame plus data.input_frame_offsets or supervision_frame_offsets; each has an image for
//    each of data.input_views or supervision_views. Images are counted by frame, then view.
// 2. Of the supervision images, data.supervision_images_per_sample are drawn without replacement, as a function of
//    the seed and the draw, and stay in order.
// 3. What both sets need of a frame and a view is read and decoded once.
// 4. Images of one sample are equally wide. Those that are less high than the highest (the side cameras') get rows
//    below that are no picture.
#ifndef CUBIST_DATA_PROCESS_SCENES_CAMERA_IMAGES_H_
#define CUBIST_DATA_PROCESS_SCENES_CAMERA_IMAGES_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_archive.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/scene_sample.h"

namespace cubist {

// `count` of the numbers 0 to total - 1, all different and ascending, each set equally likely: a function of the seed
// and the draw. 0 <= count <= total.
std::vector<int64_t> DrawImages(uint32_t seed, uint64_t draw, int64_t total, int64_t count);

class CameraImageReader {
 public:
  // Reads nothing when data.attributes names no images. Errors: ConfigError when a view has no attribute "image_...",
  // has a sky mask or depth attribute for some views only, there is no 'intrinsic' attribute, or more images are to be
  // drawn than there are.
  static absl::StatusOr<CameraImageReader> Create(const Data& data, uint32_t seed);

  // Whether there is anything to read.
  bool reads_images() const { return !views_.empty(); }

  struct Images {
    CameraImages input, supervision;
  };
  // The images of the sample that starts at `start_frame`. Any thread may call.
  // Errors: DataErrors with their DataPlace: a missing or damaged member, an image that is no uint8 RGB, a mask or
  // depth of another size than its image, images of different widths.
  absl::StatusOr<Images> Read(ClipArchive& archive, const std::string& clip, int64_t start_frame, uint64_t draw,
                              const Matrix4& world_to_grid) const;

 private:
  struct ViewAttributes {
    std::string name, image, sky_mask, depth;  // empty where there is none
  };
  struct Picture;
  using FrameAndView = std::pair<int64_t, int>;

  CameraImageReader() = default;
  static std::vector<FrameAndView> Wanted(const std::vector<int64_t>& offsets, const std::vector<int>& views,
                                          int64_t start_frame);
  // `columns`: how wide it must be; 0: as it is.
  absl::StatusOr<Picture> ReadPicture(ClipArchive& archive, const std::string& clip, const FrameAndView& which,
                                      int64_t columns) const;
  static CameraImages Stack(const std::vector<FrameAndView>& wanted, const std::map<FrameAndView, Picture>& pictures,
                            const Matrix4& world_to_grid);

  std::map<int, ViewAttributes> views_;  // by number of CameraView
  std::vector<int64_t> input_offsets_, supervision_offsets_;
  std::vector<int> input_views_, supervision_views_;
  int64_t supervision_count_ = 0;
  uint32_t seed_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CAMERA_IMAGES_H_
