// Reads samples out of a folder of clips: <data_root>/<attribute>/<clip>.tar.
//
// What one Read does:
// 1. The grid frame: the front camera's pose at the first input frame (start frame + the first input
//    offset), the crop box's centre, and while training a uniform shift along the world's axes.
// 2. Points of the clip's cloud into the grid frame; only those strictly inside the crop box stay.
// 3. Cars: with data.replace_cars_with_cad, points of vehicles go and the car mesh comes where a car
//    lies wholly inside; else the points of the frame's dynamic objects join the cloud.
// 4. Map layers of data.map_types, and the boxes of cars that lie wholly inside.
// 5. With images among the attributes: those of input and supervision frames, see camera_images.h.
// Only members that the config's attributes and map types call for are read, each by one pread.
#ifndef CUBIST_DATA_PROCESS_SCENES_SCENE_READER_H_
#define CUBIST_DATA_PROCESS_SCENES_SCENE_READER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/sampler.h"
#include "data_process/scenes/scene_sample.h"

namespace cubist {

class SceneReader {
 public:
  // `seed` is the run's seed: it keys the crop's shift and which images are drawn. Loads the car mesh when one is
  // needed.
  // Errors: ConfigError when the attributes do not fit the other fields of `data` (no pose, no or several
  // point clouds, a map type or replace_cars_with_cad without its attribute, what CameraImageReader::Create says) or
  // the crop box is not set or empty; DataError when the car mesh cannot be read.
  static absl::StatusOr<std::unique_ptr<SceneReader>> Create(const Data& data, uint32_t seed);

  virtual ~SceneReader() = default;

  // The sample of `clip` that starts at `start_frame`. `draw` numbers the shift of the crop, which is made
  // when `training` and data.crop_jitter, and the images that are drawn. The result depends on nothing else. Any thread
  // may call. Errors: DataErrors that name tar, member and frame: a missing or damaged tar or member, an array of
  // another dtype or shape than the layout says, a class id out of range, no point inside the crop box. Each has
  // its DataPlace: clip, attribute and tar always, the member's bytes where there is one.
  virtual absl::StatusOr<SceneSample> Read(const std::string& clip, int64_t start_frame, uint64_t draw,
                                           bool training) const = 0;
  absl::StatusOr<SceneSample> Read(const SceneDraw& draw, bool training) const {
    return Read(draw.clip, draw.start_frame, draw.draw, training);
  }
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_SCENE_READER_H_
