#include "data_process/scenes/scene_objects.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data_process/formats/json.h"
#include "data_process/scenes/car_mesh.h"

namespace cubist {
namespace {

constexpr char kCarType[] = "car";
// Thinner boxes have faces that the reference's overlap check rejects.
constexpr double kThinnestBox = 0.1;

using Json = nlohmann::json;

// `out` from an array of exactly `count` finite numbers.
bool ReadNumbers(const Json& array, size_t count, double* out) {
  if (!array.is_array() || array.size() != count) return false;
  for (size_t i = 0; i < count; ++i) {
    if (!array[i].is_number()) return false;
    out[i] = array[i].get<double>();
    if (!std::isfinite(out[i])) return false;
  }
  return true;
}

bool ReadMatrix(const Json& rows, Matrix4* out) {
  if (!rows.is_array() || rows.size() != 4) return false;
  for (size_t row = 0; row < 4; ++row) {
    if (!ReadNumbers(rows[row], 4, out->data() + row * 4)) return false;
  }
  const Matrix4& m = *out;
  return m[12] == 0 && m[13] == 0 && m[14] == 0 && m[15] == 1;
}

}  // namespace

absl::StatusOr<SceneObjects> ParseSceneObjects(std::string_view json, std::string_view what) {
  ASSIGN_OR_RETURN(const Json root, ParseJson(json, what));
  const std::string place(what);
  if (!root.is_object()) return DataError(place + ": expected a JSON object of objects by id");
  SceneObjects objects;
  for (const auto& [id, fields] : root.items()) {
    const std::string front = place + ": object '" + id + "': ";
    if (!fields.is_object()) return DataError(front + "expected a JSON object");
    SceneObject object;
    const auto pose = fields.find("object_to_world");
    if (pose == fields.end() || !ReadMatrix(*pose, &object.object_to_world)) {
      return DataError(front + "object_to_world must be 4 rows of 4 finite numbers, the last 0 0 0 1");
    }
    const auto size = fields.find("object_lwh");
    if (size == fields.end() || !ReadNumbers(*size, 3, object.lwh.data()) ||
        *std::min_element(object.lwh.begin(), object.lwh.end()) < 0) {
      return DataError(front + "object_lwh must be 3 finite numbers of at least 0");
    }
    const auto type = fields.find("object_type");
    if (type == fields.end() || !type->is_string()) return DataError(front + "object_type must be a string");
    object.type = type->get<std::string>();
    objects.emplace(id, std::move(object));
  }
  return objects;
}

SceneObjects MergeSceneObjects(SceneObjects static_objects, const SceneObjects& dynamic_objects) {
  static_objects.insert(dynamic_objects.begin(), dynamic_objects.end());  // keeps what is there
  return static_objects;
}

TriangleMesh PlaceCarMeshes(const SceneObjects& objects, const TriangleMesh& car, const Matrix4& world_to_grid,
                            const Vector3& half_extent) {
  const Vector3 extents = Extents(car);
  const int64_t car_faces = car.faces.shape()[0];
  std::vector<float> vertices;
  std::vector<int32_t> faces;
  for (const auto& [id, object] : objects) {
    if (object.type != kCarType) continue;
    const size_t kept = vertices.size();
    bool inside = true;
    for (const Vector3& vertex : PlaceCar(car, extents, object.lwh, Multiply(world_to_grid, object.object_to_world))) {
      const std::array<float, 3> point = {static_cast<float>(vertex[0]), static_cast<float>(vertex[1]),
                                          static_cast<float>(vertex[2])};
      inside = inside && StrictlyInside(point, half_extent);
      if (!inside) break;
      vertices.insert(vertices.end(), point.begin(), point.end());
    }
    if (!inside) {
      vertices.resize(kept);
      continue;
    }
    const int32_t first = static_cast<int32_t>(kept / 3);
    const int32_t* indices = car.faces.data<int32_t>();
    for (int64_t i = 0; i < car_faces * 3; ++i) faces.push_back(first + indices[i]);
  }
  TriangleMesh placed;
  placed.vertices = HostTensor::Of(vertices, {static_cast<int64_t>(vertices.size() / 3), 3});
  placed.faces = HostTensor::Of(faces, {static_cast<int64_t>(faces.size() / 3), 3});
  return placed;
}

HostTensor CarBoxes(const SceneObjects& objects, const Matrix4& world_to_grid, const Vector3& half_extent) {
  constexpr double kSigns[8][3] = {{1, 1, 1},  {1, -1, 1},  {-1, -1, 1},  {-1, 1, 1},
                                   {1, 1, -1}, {1, -1, -1}, {-1, -1, -1}, {-1, 1, -1}};
  std::vector<float> corners;
  for (const auto& [id, object] : objects) {
    if (object.type != kCarType || *std::min_element(object.lwh.begin(), object.lwh.end()) < kThinnestBox) continue;
    const Matrix4 object_to_grid = Multiply(world_to_grid, object.object_to_world);
    const size_t kept = corners.size();
    bool inside = true;
    for (const auto& sign : kSigns) {
      const std::array<float, 3> corner = ApplyToFloat(
          object_to_grid, {sign[0] * object.lwh[0] / 2, sign[1] * object.lwh[1] / 2, sign[2] * object.lwh[2] / 2});
      inside = inside && StrictlyInside(corner, half_extent);
      corners.insert(corners.end(), corner.begin(), corner.end());
    }
    if (!inside) corners.resize(kept);
  }
  return HostTensor::Of(corners, {static_cast<int64_t>(corners.size() / 24), 8, 3});
}

}  // namespace cubist
