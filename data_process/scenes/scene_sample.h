// One training or validation sample: what a clip holds around the front camera at one moment.
#ifndef CUBIST_DATA_PROCESS_SCENES_SCENE_SAMPLE_H_
#define CUBIST_DATA_PROCESS_SCENES_SCENE_SAMPLE_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/host_tensor.h"

namespace cubist {

// n images of one sample and their cameras; n is 0 where a config names no images. Views are numbers of CameraView
// (configs/proto/experiment.proto).
struct CameraImages {
  HostTensor frames = HostTensor(DType::kInt64, {0});           // int64 [n]: frame of the clip
  HostTensor views = HostTensor(DType::kInt64, {0});            // int64 [n]
  HostTensor images = HostTensor(DType::kUInt8, {0, 0, 0, 3});  // uint8 [n,H,W,3], RGB
  HostTensor is_sky = HostTensor(DType::kBool, {0, 0, 0});      // bool [n,H,W]; [0,H,W] without sky masks
  HostTensor depth = HostTensor(DType::kUInt16, {0, 0, 0});     // uint16 [n,H,W], cm along the optical axis, 0:
                                                                // nothing was hit; [0,H,W] without depth
  HostTensor picture_rows = HostTensor(DType::kInt64, {0});     // int64 [n]: rows from here on are padding, all 0
  HostTensor camera_to_grid = HostTensor(DType::kFloat64, {0, 4, 4});  // float64 [n,4,4], OpenCV camera axes
  HostTensor intrinsics = HostTensor(DType::kFloat64, {0, 6});  // float64 [n,6]: fx, fy, cx, cy, width, height, px
                                                                // of the images
};

// "Grid frame": metres, x forward, y left, z up along the front camera's axes, origin in the middle of
// the crop box. Arrays without rows have shape [0, ...], never another rank.
struct SceneSample {
  std::string clip;
  int64_t start_frame = 0;
  uint64_t draw = 0;         // samples consumed so far in the run, over all ranks
  HostTensor grid_to_world;  // float64 [4,4], columns forward, left, up, origin
  HostTensor half_extent;    // float64 [3], m: the crop box is -half_extent to +half_extent
  HostTensor points;         // float32 [M,3], grid frame, strictly inside the box, M >= 1
  HostTensor semantics;      // uint8 [M], class ids 0 to 22 (semantic_classes.h)
  HostTensor mesh_vertices;  // float32 [V,3], grid frame: the car meshes of all cars that lie wholly inside
  HostTensor mesh_faces;     // int32 [F,3], rows of mesh_vertices
  std::map<std::string, HostTensor> maps;  // map type -> float32 [K,3], grid frame, not cropped
  HostTensor boxes;                        // float32 [M,8,3], grid frame: corners of cars that lie wholly inside
  CameraImages input, supervision;         // what the model sees, and what it is compared with
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_SCENE_SAMPLE_H_
