// A whole synthetic clip before anything is written: surfaces, objects that stand and move, the ego
// vehicle's way, and the map.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_SCENE_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_SCENE_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data_process/synthesis/primitive.h"
#include "data_process/synthesis/street_layout.h"
#include "data_process/synthesis/weather.h"

namespace cubist {

// An object that moved farther than this since the previous frame is moving (the reference's threshold
// at ten frames a second), in metres.
inline constexpr double kMovingDistance = 0.05;
// Numbers of static and of dynamic objects count from here.
inline constexpr int kFirstStaticNumber = 1;
inline constexpr int kFirstDynamicNumber = 10000;

// Something with a box around it. The object frame has its origin in the box's centre, x along the
// length, z up.
struct SceneObject {
  std::string id;    // 22 characters of A-Z, a-z, 0-9, "-" and "_", as the reference's
  std::string type;  // car, pedestrian, cyclist, sign
  SemanticClass label = SemanticClass::kUndefined;
  Eigen::Vector3d lwh = Eigen::Vector3d::Zero();  // length, width, height in metres
  std::vector<Primitive> shape;                   // in the object frame

  // Where it is in the street frame, a frame at a time; empty where it is not labelled. Parked things
  // have `parked` instead, which holds in every frame.
  std::vector<std::optional<Eigen::Isometry3d>> track;
  std::optional<Eigen::Isometry3d> parked;

  // Set by ClassifyObjects.
  bool is_dynamic = false;
  int number = 0;            // object_id_int
  std::vector<bool> moving;  // per frame, for dynamic objects

  // The pose in a frame, if it is labelled there.
  const Eigen::Isometry3d* PoseAt(int frame) const;
};

// Applies the reference's rules (spec: data preparation):
// 1. an object moves in a frame when its centre moved more than kMovingDistance since the previous frame,
//    in which it was labelled too;
// 2. it is dynamic if it ever moves, else static, and then stands in all frames where it was first seen;
// 3. objects are sorted by id; static ones are numbered from 1, dynamic ones from 10000.
// Objects that are labelled in no frame are removed.
void ClassifyObjects(std::vector<SceneObject>& objects);

// The ground area of a building, in which no ground is seen.
struct Footprint {
  Eigen::Isometry3d pose;  // centre, x along the street
  Eigen::Vector2d half;    // half extents along x and y
  bool Contains(const Eigen::Vector3d& point) const;
};

// fx, fy, cx, cy, width, height of every clip's front camera at full size, in pixels.
inline constexpr std::array<double, 6> kFrontIntrinsics = {2060, 2060, 960, 640, 1920, 1280};

using Polyline = std::vector<Eigen::Vector3d>;

struct MapLines {
  std::vector<Polyline> lanes, road_edges, road_lines;
};

struct Scene {
  StreetLayout layout;
  Eigen::Isometry3d street_to_world;
  // A frame at a time: the vehicle frame (x forward, y left, z up, on the ground below the rear axle) in
  // the street frame.
  std::vector<Eigen::Isometry3d> ego;
  Eigen::Isometry3d camera_to_vehicle;  // the camera's FLU axes
  Eigen::Isometry3d lidar_to_vehicle;

  // What never moves and has no box around it, in the street frame.
  std::vector<Primitive> surfaces;
  std::vector<Footprint> footprints;
  std::vector<SceneObject> objects;
  MapLines map;  // in the street frame

  // For cameras only.
  std::vector<Primitive> backdrop;  // in the street frame; gets no points
  Weather weather;
};

// The scene of clip `clip` under `seed`: always the same one. `frames` >= 1 at ten a second.
Scene MakeScene(uint32_t seed, uint64_t clip, int frames);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_SCENE_H_
