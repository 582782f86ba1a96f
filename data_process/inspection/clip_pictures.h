// Pictures of a clip for the eye: the front camera's image, what stands around the car from above, and depth.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_CLIP_PICTURES_H_
#define CUBIST_DATA_PROCESS_INSPECTION_CLIP_PICTURES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/inspection/data_tree.h"
#include "data_process/scenes/cloud.h"

namespace cubist {

struct ClipPicture {
  std::string title;                            // the attribute it is from
  HostTensor pixels{DType::kUInt8, {0, 0, 3}};  // uint8 [H,W,3] RGB; empty if there is no picture
  std::string reason;                           // in that case: why, in a few words
  double metres = 0;                            // of depth: what the last colour stands for; else 0
};

// Metres that every depth picture's colours span; what is farther has the last one.
inline constexpr double kDepthPictureMetres = 80;

// uint16 [H,W] hundredths of a metre, 0 where nothing was hit (dark grey), as uint8 [H,W,3]: red is near, blue is far;
// the colours run with the square root of the depth.
HostTensor ColourDepth(const HostTensor& centimetres);

class ClipPictures {
 public:
  // `tree` has the clip and outlives this. What is larger than `limits` is not drawn.
  ClipPictures(const DataTree& tree, const std::string& clip, const ReadLimits& limits);

  // The frames that it has, ascending: those of its poses, else images, else depth, else its video. Empty if it has
  // none of these.
  const std::vector<int64_t>& frames() const { return frames_; }

  // The image of image_480p_front, else image_front, else a frame of video_480p_front or video_front.
  ClipPicture Front(int64_t frame) const;
  // The points of the clip's cloud, coloured by class, from 20 m behind the camera to 84 m ahead (to the right) and
  // 30 m to either side, with the labelled objects as boxes and the camera as a triangle. 8 pixels a metre.
  ClipPicture BirdsEye(int64_t frame) const;
  // voxel_depth_100_480p_front, else lidar_depth_100_480p_front.
  ClipPicture Depth(int64_t frame) const;

 private:
  const ClipFile* Find(const std::string& attribute) const;
  absl::StatusOr<HostTensor> ReadFront(const std::string& attribute, const ClipFile& file, int64_t frame) const;
  absl::StatusOr<HostTensor> DrawBirdsEye(int64_t frame) const;
  absl::Status LoadCloud() const;
  std::string InFewWords(const absl::Status& status) const;

  const DataTree& tree_;
  const std::string clip_;
  const ReadLimits limits_;
  std::vector<int64_t> frames_;
  mutable std::optional<PointCloud> cloud_;  // read when first needed
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_CLIP_PICTURES_H_
