// The labelled objects of one frame: cars, pedestrians, ..., static and dynamic.
#ifndef CUBIST_DATA_PROCESS_SCENES_SCENE_OBJECTS_H_
#define CUBIST_DATA_PROCESS_SCENES_SCENE_OBJECTS_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "data_process/formats/ply.h"
#include "data_process/scenes/coordinates.h"

namespace cubist {

struct SceneObject {
  Matrix4 object_to_world;  // object axes: x along the length, y along the width, z up; origin in the middle
  Vector3 lwh;              // length, width, height in metres
  std::string type;         // "car", "pedestrian", "cyclist", "sign" or "unknown"
};

// By id; the order of ids is the order of everything made from the objects.
using SceneObjects = std::map<std::string, SceneObject>;

// Reads a member NNNNNN.static_object_info.json or NNNNNN.dynamic_object_info.json: id -> {object_to_world
// 4x4, object_lwh, object_type, ...}. DataErrors begin with `what` and name the object.
absl::StatusOr<SceneObjects> ParseSceneObjects(std::string_view json, std::string_view what);

// Static and dynamic objects together; a static object wins over a dynamic one of the same id.
SceneObjects MergeSceneObjects(SceneObjects static_objects, const SceneObjects& dynamic_objects);

// The mesh for every object of type "car", scaled to its size and moved into the grid frame; only cars
// whose vertices all lie strictly inside the box of the given half extent. Vertices are float32.
TriangleMesh PlaceCarMeshes(const SceneObjects& objects, const TriangleMesh& car, const Matrix4& world_to_grid,
                            const Vector3& half_extent);

// Corners, float32 [M,8,3] in the grid frame, of every object of type "car" whose corners all lie strictly
// inside the box and whose edges are all at least 0.1 m. Signs of the half axes (length, width, height):
// +++ +-+ --+ -++ ++- +-- --- -+-.
HostTensor CarBoxes(const SceneObjects& objects, const Matrix4& world_to_grid, const Vector3& half_extent);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_SCENE_OBJECTS_H_
