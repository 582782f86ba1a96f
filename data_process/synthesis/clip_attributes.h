// A synthetic scene as the members of its attribute tars, in the reference's layout.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_ATTRIBUTES_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_ATTRIBUTES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "data_process/synthesis/point_cloud.h"
#include "data_process/synthesis/scene.h"

namespace cubist {

// The attributes of one tar a clip that show no camera's view: those that the VAE's and the diffusion model's recipes
// read, and what these are made from.
const std::vector<std::string>& GeometryAttributes();

// What one clip's attributes are made from.
struct ClipContent {
  Scene scene;
  uint32_t seed;
  uint64_t clip;
  double spacing;
  LabelledPoints cloud;           // static points
  LabelledPoints training_cloud;  // with map points, without cars
  bool is_int64;                  // dtype of semantics: int64 or uint8
};

// Clips with even numbers have semantics of dtype uint8, the others of int64: real data has both.
// Errors: ConfigError when the clip would have more than `most_points` points.
absl::StatusOr<ClipContent> MakeClipContent(uint32_t seed, uint64_t clip, int frames, double spacing,
                                            double most_points);

// Suffix and bytes of each member, sorted by suffix: member <clip id>.<suffix> of
// <data root>/<attribute>/<clip id>.tar. `attribute` is one of GeometryAttributes(); another one is an
// InternalError. Payloads, with N frames (poses and maps in world coordinates, metres):
//   pose                            N  NNNNNN.pose.front.npy            float64 [4,4] camera (OpenCV axes) to world
//   intrinsic                       1  intrinsic.front.npy              float64 [6] fx, fy, cx, cy, width, height
//   extrinsic                       2  extrinsic.front.npy, extrinsic.lidar_TOP.npy   float64 [4,4] sensor (FLU) to
//   vehicle static_object_info and dynamic_object_info   N  NNNNNN.<attribute>.json   id -> pose, size, type
//   dynamic_object_points_canonical 1  npz: <id>_xyz float64 [K,3], <id>_semantic int64 [], <id>_corner float64 [8,3]
//   pc_voxelsize_01, pc_with_map_without_car_voxelsize_01   1  pcd.vs01.pth   torch zip: points float32 [K,3] in
//                                      the first vehicle frame, semantics uint8 or int64 [K], pc_to_world float32 [4,4]
//   3d_lane, 3d_road_edge, 3d_road_line             1  lane.json, ...   polylines of [x, y, z]
//   the same with _voxelsize_025                    1  lane.npy, ...    float64 [K,3]
//   3d_road_surface_voxelsize_04                    1  road_surface.npy float64 [K,3]
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> AttributeMembers(const ClipContent& content,
                                                                                  std::string_view attribute);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_CLIP_ATTRIBUTES_H_
