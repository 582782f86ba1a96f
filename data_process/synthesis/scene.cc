#include "data_process/synthesis/scene.h"

#include <algorithm>
#include <cmath>

#include "data_process/synthesis/backdrop.h"
#include "data_process/synthesis/map_lines.h"
#include "data_process/synthesis/roadside.h"
#include "data_process/synthesis/street_surfaces.h"
#include "data_process/synthesis/traffic.h"

namespace cubist {
namespace {

using Eigen::AngleAxisd;
using Eigen::Isometry3d;
using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
constexpr double kDegree = kPi / 180;

// Metres that the ego vehicle has gone by each frame: a base speed that swings slowly, 0.5 to 1.2 m a frame.
std::vector<double> DrivenDistances(RandomStream random, int frames) {
  const double speed = random.Uniform(0.6, 1.1), swing = random.Uniform(0, 0.1);
  const double period = random.Uniform(60, 160), phase = random.Uniform(0, 2 * kPi);
  std::vector<double> driven(1, 0.0);
  for (int frame = 1; frame < frames; ++frame) {
    const double step = speed + swing * std::sin(2 * kPi * frame / period + phase);
    driven.push_back(driven.back() + std::clamp(step, 0.5, 1.2));
  }
  return driven;
}

Isometry3d Transform(const Vector3d& translation, double yaw, double pitch) {
  Isometry3d transform = Isometry3d::Identity();
  transform.linear() = (AngleAxisd(yaw, Vector3d::UnitZ()) * AngleAxisd(pitch, Vector3d::UnitY())).toRotationMatrix();
  transform.translation() = translation;
  return transform;
}

}  // namespace

const Isometry3d* SceneObject::PoseAt(int frame) const {
  if (parked.has_value()) return &*parked;
  return frame < static_cast<int>(track.size()) && track[frame].has_value() ? &*track[frame] : nullptr;
}

bool Footprint::Contains(const Vector3d& point) const {
  const Vector3d away = point - pose.translation();
  if (std::abs(away.x()) + std::abs(away.y()) > 2 * (half.x() + half.y())) return false;
  const Vector3d local = pose.linear().transpose() * away;
  return std::abs(local.x()) < half.x() && std::abs(local.y()) < half.y();
}

void ClassifyObjects(std::vector<SceneObject>& objects) {
  for (SceneObject& object : objects) {
    if (object.parked.has_value()) continue;
    const Isometry3d* first = nullptr;
    object.moving.assign(object.track.size(), false);
    for (size_t frame = 0; frame < object.track.size(); ++frame) {
      const auto& pose = object.track[frame];
      if (!pose.has_value()) continue;
      if (first == nullptr) first = &*pose;
      if (frame == 0 || !object.track[frame - 1].has_value()) continue;
      const double distance = (pose->translation() - object.track[frame - 1]->translation()).norm();
      object.moving[frame] = distance > kMovingDistance;
      object.is_dynamic = object.is_dynamic || object.moving[frame];
    }
    if (!object.is_dynamic && first != nullptr) object.parked = *first;
  }
  objects.erase(std::remove_if(objects.begin(), objects.end(),
                               [](const SceneObject& object) { return !object.parked && !object.is_dynamic; }),
                objects.end());
  std::sort(objects.begin(), objects.end(), [](const SceneObject& a, const SceneObject& b) { return a.id < b.id; });
  int next_static = kFirstStaticNumber, next_dynamic = kFirstDynamicNumber;
  for (SceneObject& object : objects) object.number = object.is_dynamic ? next_dynamic++ : next_static++;
}

Scene MakeScene(uint32_t seed, uint64_t clip, int frames) {
  const auto stream = [&](SceneStream part) { return RandomStream(seed, clip, part); };
  RandomStream ego_random = stream(SceneStream::kEgo);
  const std::vector<double> driven = DrivenDistances(ego_random, frames);

  Scene scene = {MakeStreetLayout(stream(SceneStream::kLayout), driven.back()), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  const StreetLayout& layout = scene.layout;

  // The world's origin is far out, as in real data, so that float32 world coordinates would show.
  RandomStream place = RandomStream(seed, clip, SceneStream::kEgo, 1);
  const Vector3d origin(20000 + place.Uniform(-900, 900), -15000 + place.Uniform(-900, 900),
                        30 + place.Uniform(-15, 15));
  scene.street_to_world = Transform(origin, place.Uniform(-kPi, kPi), place.Uniform(-3, 3) * kDegree);
  scene.camera_to_vehicle = Transform(Vector3d(1.54, place.Uniform(-0.03, 0.03), 2.11),
                                      place.Uniform(-0.4, 0.4) * kDegree, place.Uniform(-0.4, 0.4) * kDegree);
  scene.lidar_to_vehicle = Transform(Vector3d(1.43, 0, 2.18), place.Uniform(-kPi, kPi), 0);

  // The vehicle wanders a little within its lane.
  const double sway = place.Uniform(0.05, 0.2), sway_length = place.Uniform(40, 90), phase = place.Uniform(0, 2 * kPi);
  const double lane = layout.LaneCentre(layout.ego_lane);
  for (const double s : driven) {
    const double angle = 2 * kPi * s / sway_length + phase;
    const double d = lane + sway * std::sin(angle);
    const double slope = sway * 2 * kPi / sway_length * std::cos(angle);
    scene.ego.push_back(layout.Frame(s, d, layout.RoadHeight(d), std::atan(slope)));
  }

  AddStreetSurfaces(stream(SceneStream::kGround), scene);
  AddBuildings(stream(SceneStream::kBuildings), scene);
  AddTrees(stream(SceneStream::kTrees), scene);
  AddStreetFurniture(stream(SceneStream::kFurniture), scene);
  AddParkedVehicles(stream(SceneStream::kParked), scene);
  AddTraffic(stream(SceneStream::kTraffic), driven, scene);
  NameObjects(stream(SceneStream::kObjectIds), scene.objects);
  ClassifyObjects(scene.objects);
  scene.map = MakeMapLines(stream(SceneStream::kMap), layout);
  AddBackdrop(stream(SceneStream::kBackdrop), scene);
  scene.weather = MakeWeather(stream(SceneStream::kWeather));
  return scene;
}

}  // namespace cubist
