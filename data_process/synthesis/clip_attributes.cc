#include "data_process/synthesis/clip_attributes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/synthesis/map_lines.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;
using Members = std::vector<std::pair<std::string, std::string>>;

std::string FrameName(int frame) {
  char text[16];
  std::snprintf(text, sizeof(text), "%06d", frame);
  return text;
}

template <typename T>
HostTensor MatrixTensor(const Isometry3d& transform) {
  HostTensor tensor(DTypeOf<T>::value, {4, 4});
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) tensor.data<T>()[4 * i + j] = static_cast<T>(transform.matrix()(i, j));
  }
  return tensor;
}

// float64 [N,3]; NumPy's shape of an empty list of points, (0,), when there are none.
HostTensor PointsTensor(const std::vector<Vector3d>& points) {
  if (points.empty()) return HostTensor(DType::kFloat64, {0});
  HostTensor tensor(DType::kFloat64, {static_cast<int64_t>(points.size()), 3});
  double* out = tensor.data<double>();
  for (const Vector3d& point : points) out = std::copy(point.data(), point.data() + 3, out);
  return tensor;
}

// Columns (-c1, -c2, c0, t) of a FLU pose: the same camera with OpenCV axes.
Isometry3d FluToOpenCvAxes(const Isometry3d& flu) {
  Isometry3d opencv = flu;
  opencv.linear().col(0) = -flu.linear().col(1);
  opencv.linear().col(1) = -flu.linear().col(2);
  opencv.linear().col(2) = flu.linear().col(0);
  return opencv;
}

Members Poses(const Scene& scene) {
  Members members;
  for (size_t frame = 0; frame < scene.ego.size(); ++frame) {
    const Isometry3d camera = FluToOpenCvAxes(scene.street_to_world * scene.ego[frame] * scene.camera_to_vehicle);
    members.emplace_back(FrameName(static_cast<int>(frame)) + ".pose.front.npy",
                         FormatNpy(MatrixTensor<double>(camera)));
  }
  return members;
}

nlohmann::json ObjectJson(const Scene& scene, const SceneObject& object, const Isometry3d& pose, bool is_moving) {
  const Isometry3d world = scene.street_to_world * pose;
  nlohmann::json rows = nlohmann::json::array();
  for (int i = 0; i < 4; ++i) {
    nlohmann::json row = nlohmann::json::array();
    for (int j = 0; j < 4; ++j) row.push_back(world.matrix()(i, j));
    rows.push_back(std::move(row));
  }
  return {{"object_to_world", std::move(rows)},
          {"object_lwh", {object.lwh.x(), object.lwh.y(), object.lwh.z()}},
          {"object_is_moving", is_moving},
          {"object_type", object.type},
          {"object_id_int", object.number}};
}

Members ObjectInfo(const Scene& scene, bool is_dynamic) {
  const std::string suffix = is_dynamic ? ".dynamic_object_info.json" : ".static_object_info.json";
  Members members;
  std::string static_text;
  for (size_t frame = 0; frame < scene.ego.size(); ++frame) {
    // Static objects stand the same in all frames.
    if (!is_dynamic && frame > 0) {
      members.emplace_back(FrameName(static_cast<int>(frame)) + suffix, static_text);
      continue;
    }
    nlohmann::json info = nlohmann::json::object();
    for (const SceneObject& object : scene.objects) {
      const Isometry3d* pose = object.PoseAt(static_cast<int>(frame));
      if (object.is_dynamic != is_dynamic || pose == nullptr) continue;
      info[object.id] = ObjectJson(scene, object, *pose, is_dynamic && object.moving[frame]);
    }
    static_text = info.dump();
    members.emplace_back(FrameName(static_cast<int>(frame)) + suffix, static_text);
  }
  return members;
}

// Corners of the object's box in its own frame, in the order of signs along (length, width, height) that
// the data has: +++ +-+ --+ -++ ++- +-- --- -+-.
HostTensor Corners(const Vector3d& lwh) {
  static constexpr int kSigns[8][3] = {{1, 1, 1},  {1, -1, 1},  {-1, -1, 1},  {-1, 1, 1},
                                       {1, 1, -1}, {1, -1, -1}, {-1, -1, -1}, {-1, 1, -1}};
  HostTensor corners(DType::kFloat64, {8, 3});
  for (int corner = 0; corner < 8; ++corner) {
    for (int axis = 0; axis < 3; ++axis)
      corners.data<double>()[3 * corner + axis] = kSigns[corner][axis] * lwh[axis] / 2;
  }
  return corners;
}

absl::StatusOr<Members> DynamicPoints(const ClipContent& content) {
  std::vector<std::pair<std::string, HostTensor>> arrays;
  const Scene& scene = content.scene;
  for (size_t k = 0; k < scene.objects.size(); ++k) {
    const SceneObject& object = scene.objects[k];
    if (!object.is_dynamic) continue;
    const uint32_t part = static_cast<uint32_t>(scene.surfaces.size() + k);
    const std::vector<Vector3d> points = ObjectPoints(object, part, content.seed, content.clip, content.spacing);
    HostTensor label(DType::kInt64, {});
    label.data<int64_t>()[0] = static_cast<int64_t>(object.label);
    arrays.emplace_back(object.id + "_xyz", PointsTensor(points));
    arrays.emplace_back(object.id + "_semantic", label);
    arrays.emplace_back(object.id + "_corner", Corners(object.lwh));
  }
  ASSIGN_OR_RETURN(std::string bytes, FormatNpz(arrays));
  Members members;
  members.emplace_back("dynamic_object_points_canonical.npz", std::move(bytes));
  return members;
}

absl::StatusOr<Members> PointCloud(const ClipContent& content, const LabelledPoints& cloud) {
  const int64_t count = static_cast<int64_t>(cloud.labels.size());
  const HostTensor labels = HostTensor::Of(cloud.labels, {count});
  ASSIGN_OR_RETURN(
      std::string bytes,
      FormatTorchZip({{"points", HostTensor::Of(cloud.xyz, {count, 3})},
                      {"semantics", content.is_int64 ? labels.Cast(DType::kInt64) : labels},
                      {"pc_to_world", MatrixTensor<float>(content.scene.street_to_world * content.scene.ego[0])}}));
  Members members;
  members.emplace_back("pcd.vs01.pth", std::move(bytes));
  return members;
}

const std::vector<Polyline>& Lines(const Scene& scene, std::string_view name) {
  return name == "lane" ? scene.map.lanes : name == "road_edge" ? scene.map.road_edges : scene.map.road_lines;
}

std::vector<Polyline> WorldLines(const Scene& scene, std::string_view name) {
  return Transformed(scene.street_to_world, Lines(scene, name));
}

std::string PolylinesJson(const std::vector<Polyline>& lines) {
  nlohmann::json all = nlohmann::json::array();
  for (const Polyline& line : lines) {
    nlohmann::json points = nlohmann::json::array();
    for (const Vector3d& point : line) points.push_back({point.x(), point.y(), point.z()});
    all.push_back(std::move(points));
  }
  return all.dump();
}

absl::StatusOr<Members> Produce(const ClipContent& content, std::string_view attribute) {
  const Scene& scene = content.scene;
  Members members;
  if (attribute == "pose") return Poses(scene);
  if (attribute == "intrinsic") {
    const std::vector<double> intrinsic(kFrontIntrinsics.begin(), kFrontIntrinsics.end());
    members.emplace_back("intrinsic.front.npy", FormatNpy(HostTensor::Of(intrinsic, {6})));
    return members;
  }
  if (attribute == "extrinsic") {
    members.emplace_back("extrinsic.front.npy", FormatNpy(MatrixTensor<double>(scene.camera_to_vehicle)));
    members.emplace_back("extrinsic.lidar_TOP.npy", FormatNpy(MatrixTensor<double>(scene.lidar_to_vehicle)));
    return members;
  }
  if (attribute == "static_object_info") return ObjectInfo(scene, /*is_dynamic=*/false);
  if (attribute == "dynamic_object_info") return ObjectInfo(scene, /*is_dynamic=*/true);
  if (attribute == "dynamic_object_points_canonical") return DynamicPoints(content);
  if (attribute == "pc_voxelsize_01") return PointCloud(content, content.cloud);
  if (attribute == "pc_with_map_without_car_voxelsize_01") return PointCloud(content, content.training_cloud);
  if (attribute == "3d_road_surface_voxelsize_04") {
    const std::vector<Vector3d> lanes = Discretize(WorldLines(scene, "lane"), kMapInterval);
    members.emplace_back("road_surface.npy",
                         FormatNpy(PointsTensor(RoadSurface(scene.layout, scene.street_to_world, lanes))));
    return members;
  }
  for (const std::string name : {"lane", "road_edge", "road_line"}) {
    if (attribute == "3d_" + name) {
      members.emplace_back(name + ".json", PolylinesJson(WorldLines(scene, name)));
      return members;
    }
    if (attribute == "3d_" + name + "_voxelsize_025") {
      members.emplace_back(name + ".npy", FormatNpy(PointsTensor(Discretize(WorldLines(scene, name), kMapInterval))));
      return members;
    }
  }
  return InternalError(absl::StrCat("attribute \"", std::string(attribute), "\" cannot be synthesized"));
}

}  // namespace

const std::vector<std::string>& GeometryAttributes() {
  static const auto* attributes = new std::vector<std::string>{
      "pose",
      "intrinsic",
      "extrinsic",
      "static_object_info",
      "dynamic_object_info",
      "dynamic_object_points_canonical",
      "pc_voxelsize_01",
      "pc_with_map_without_car_voxelsize_01",
      "3d_lane",
      "3d_road_edge",
      "3d_road_line",
      "3d_lane_voxelsize_025",
      "3d_road_edge_voxelsize_025",
      "3d_road_line_voxelsize_025",
      "3d_road_surface_voxelsize_04",
  };
  return *attributes;
}

absl::StatusOr<ClipContent> MakeClipContent(uint32_t seed, uint64_t clip, int frames, double spacing,
                                            double most_points) {
  ClipContent content = {MakeScene(seed, clip, frames), seed, clip, spacing, {}, {}, clip % 2 == 1};
  const double estimate = EstimatePoints(content.scene, spacing);
  if (estimate > most_points) {
    return ConfigError(absl::StrCat("a clip of ", frames, " frames with point_spacing ", spacing,
                                    " m would have about ", std::llround(estimate / 1e6), " million points, more than ",
                                    std::llround(most_points / 1e6),
                                    " million; raise point_spacing or make fewer frames"));
  }
  content.cloud = StaticPoints(content.scene, seed, clip, spacing);
  content.training_cloud = WithMapWithoutCars(content.cloud, content.scene);
  return content;
}

absl::StatusOr<Members> AttributeMembers(const ClipContent& content, std::string_view attribute) {
  ASSIGN_OR_RETURN(Members members, Produce(content, attribute));
  std::sort(members.begin(), members.end());
  return members;
}

}  // namespace cubist
