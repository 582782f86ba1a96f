#include "data_process/synthesis/point_cloud.h"

#include <cmath>
#include <variant>

#include "data_process/synthesis/map_lines.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

bool IsInsideABuilding(const Vector3d& point, const std::vector<Footprint>& footprints) {
  for (const Footprint& footprint : footprints) {
    if (footprint.Contains(point)) return true;
  }
  return false;
}

// The footprints that may reach into the patch: most ground is near a house or two.
std::vector<Footprint> Nearby(const Patch& patch, const std::vector<Footprint>& footprints) {
  const Vector3d middle = (patch.corners[0] + patch.corners[1] + patch.corners[2] + patch.corners[3]) / 4;
  double reach = 0;
  for (const Vector3d& corner : patch.corners) reach = std::max(reach, (corner - middle).norm());
  std::vector<Footprint> nearby;
  for (const Footprint& footprint : footprints) {
    const Vector3d away = footprint.pose.translation() - middle;
    if (away.head<2>().norm() < reach + footprint.half.norm()) nearby.push_back(footprint);
  }
  return nearby;
}

}  // namespace

void LabelledPoints::Add(const Vector3d& point, SemanticClass label) {
  for (int axis = 0; axis < 3; ++axis) xyz.push_back(static_cast<float>(point[axis]));
  labels.push_back(static_cast<uint8_t>(label));
}

double EstimatePoints(const Scene& scene, double spacing) {
  double area = 0;
  for (const Primitive& primitive : scene.surfaces) area += SeenArea(primitive);
  for (const SceneObject& object : scene.objects) {
    for (const Primitive& primitive : object.shape) area += SeenArea(primitive);
  }
  return area / (spacing * spacing);
}

LabelledPoints StaticPoints(const Scene& scene, uint32_t seed, uint64_t clip, double spacing) {
  const Isometry3d street_to_vehicle = scene.ego[0].inverse();
  LabelledPoints cloud;
  std::vector<Vector3d> points;
  for (size_t k = 0; k < scene.surfaces.size(); ++k) {
    const Primitive& primitive = scene.surfaces[k];
    RandomStream random(seed, clip, SceneStream::kSampling, static_cast<uint32_t>(k));
    points.clear();
    AppendPoints(primitive, spacing, random, points);
    std::vector<Footprint> footprints;
    if (primitive.is_ground) footprints = Nearby(std::get<Patch>(primitive.shape), scene.footprints);
    for (const Vector3d& point : points) {
      if (!IsInsideABuilding(point, footprints)) cloud.Add(street_to_vehicle * point, primitive.label);
    }
  }
  for (size_t k = 0; k < scene.objects.size(); ++k) {
    const SceneObject& object = scene.objects[k];
    if (object.is_dynamic) continue;
    const uint32_t part = static_cast<uint32_t>(scene.surfaces.size() + k);
    const Isometry3d object_to_vehicle = street_to_vehicle * *object.parked;
    for (const Vector3d& point : ObjectPoints(object, part, seed, clip, spacing)) {
      cloud.Add(object_to_vehicle * point, object.label);
    }
  }
  return cloud;
}

std::vector<Vector3d> ObjectPoints(const SceneObject& object, uint32_t part, uint32_t seed, uint64_t clip,
                                   double spacing) {
  RandomStream random(seed, clip, SceneStream::kSampling, part);
  std::vector<Vector3d> points;
  for (const Primitive& primitive : object.shape) AppendPoints(primitive, spacing, random, points);
  // The noise carries a few points out of the box; labels of real data end at the box as well.
  const Vector3d half = object.lwh / 2;
  for (Vector3d& point : points) point = point.cwiseMax(-half).cwiseMin(half);
  return points;
}

LabelledPoints WithMapWithoutCars(const LabelledPoints& points, const Scene& scene) {
  LabelledPoints cloud;
  cloud.xyz.reserve(points.xyz.size());
  cloud.labels.reserve(points.labels.size());
  for (size_t k = 0; k < points.labels.size(); ++k) {
    const VisualGroup group = kSemanticClasses[points.labels[k]].group;
    if (group == VisualGroup::kPeopleAndCycles || group == VisualGroup::kVehicles) continue;
    cloud.xyz.insert(cloud.xyz.end(), &points.xyz[3 * k], &points.xyz[3 * k] + 3);
    cloud.labels.push_back(points.labels[k]);
  }
  const Isometry3d street_to_vehicle = scene.ego[0].inverse();
  const Vector3d world_up = street_to_vehicle.linear() * scene.street_to_world.linear().transpose() * Vector3d::UnitZ();
  const std::vector<Vector3d> marks = Discretize(scene.map.road_lines, kCloudMapInterval);
  for (const double shift : {0.0, -kCloudMapInterval, kCloudMapInterval}) {
    for (const Vector3d& mark : marks)
      cloud.Add(street_to_vehicle * mark + shift * world_up, SemanticClass::kLaneMarker);
  }
  return cloud;
}

}  // namespace cubist
