#include "data_process/synthesis/traffic.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "data_process/scenes/car_mesh.h"
#include "data_process/synthesis/roadside.h"

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
constexpr double kLabelRange = 75;

std::shared_ptr<const TriangleMesh> CarMesh() {
  static const auto* mesh = new std::shared_ptr<const TriangleMesh>(std::make_shared<TriangleMesh>(MakeCarMesh()));
  return *mesh;
}

SceneObject MakeCar(RandomStream& random) {
  SceneObject car;
  car.type = "car";
  car.label = SemanticClass::kCar;
  car.lwh = Vector3d(random.Uniform(3.7, 5.1), random.Uniform(1.72, 2.0), random.Uniform(1.38, 1.85));
  const Vector3d extents(kCarExtents[0], kCarExtents[1], kCarExtents[2]);
  car.shape.push_back({MeshInstance{CarMesh(), car.lwh.cwiseQuotient(extents), Isometry3d::Identity()}, car.label});
  return car;
}

Box PlacedBox(const Vector3d& low, const Vector3d& high) {
  Isometry3d pose = Isometry3d::Identity();
  pose.translation() = (low + high) / 2;
  return Box{pose, high - low};
}

// A van: a cab with a lower bonnet in front of a load space.
SceneObject MakeVan(RandomStream& random) {
  SceneObject van;
  van.type = "car";
  van.label = SemanticClass::kTruck;
  van.lwh = Vector3d(random.Uniform(5.6, 6.9), random.Uniform(2.0, 2.2), random.Uniform(2.4, 2.9));
  const double l = van.lwh.x(), w = van.lwh.y(), h = van.lwh.z(), floor = -h / 2 + 0.35;
  van.shape.push_back({PlacedBox(Vector3d(-l / 2, -w / 2, floor), Vector3d(0.22 * l, w / 2, h / 2)), van.label});
  van.shape.push_back(
      {PlacedBox(Vector3d(0.22 * l, -0.46 * w, floor), Vector3d(0.36 * l, 0.46 * w, 0.3 * h)), van.label});
  van.shape.push_back({PlacedBox(Vector3d(0.36 * l, -0.45 * w, floor), Vector3d(l / 2, 0.45 * w, 0.0)), van.label});
  for (const double x : {-0.3 * l, 0.33 * l}) {
    for (const double y : {-w / 2, w / 2 - 0.2}) {
      van.shape.push_back({Cylinder{Vector3d(x, y, -h / 2 + 0.35), Vector3d(0, 0.2, 0), 0.35}, van.label});
    }
  }
  return van;
}

// Legs, trunk and head in a box that is `height` tall, with its centre at the origin.
void AddPerson(double foot, double height, const Vector3d& at, SemanticClass label, std::vector<Primitive>& shape) {
  const double hip = foot + 0.47 * height, neck = foot + 0.85 * height;
  for (const double y : {-0.11, 0.11}) {
    shape.push_back({Cylinder{at + Vector3d(0, y, foot), Vector3d(0, 0, hip - foot), 0.08}, label});
  }
  shape.push_back(
      {Ellipsoid{at + Vector3d(0, 0, (hip + neck) / 2), Vector3d(0.16, 0.24, (neck - hip) / 2 + 0.05)}, label});
  shape.push_back({Ellipsoid{at + Vector3d(0, 0, foot + 0.925 * height), Vector3d(0.1, 0.09, 0.074 * height)}, label});
}

SceneObject MakePedestrian(RandomStream& random) {
  SceneObject person;
  person.type = "pedestrian";
  person.label = SemanticClass::kPedestrian;
  person.lwh = Vector3d(random.Uniform(0.6, 0.95), random.Uniform(0.6, 0.85), random.Uniform(1.55, 1.9));
  AddPerson(-person.lwh.z() / 2, person.lwh.z(), Vector3d::Zero(), person.label, person.shape);
  return person;
}

SceneObject MakeCyclist(RandomStream& random) {
  SceneObject cyclist;
  cyclist.type = "cyclist";
  cyclist.label = SemanticClass::kBicyclist;
  cyclist.lwh = Vector3d(1.78, 0.8, random.Uniform(1.65, 1.8));
  const double ground = -cyclist.lwh.z() / 2;
  for (Primitive part : BicycleShape(cyclist.label)) {
    std::get<Cylinder>(part.shape).base.z() += ground + 0.5;
    cyclist.shape.push_back(part);
  }
  AddPerson(ground + 0.3, cyclist.lwh.z() - 0.3, Vector3d(-0.15, 0, 0), cyclist.label, cyclist.shape);
  return cyclist;
}

// Writes the track of an object whose middle is at (s(frame), d) and which looks along or against the
// street, on ground of height z.
void SetTrack(const StreetLayout& layout, const std::vector<double>& driven, const std::function<double(int)>& s_at,
              double d, double z, bool is_forward, SceneObject& object) {
  const double ego_d = layout.LaneCentre(layout.ego_lane);
  object.track.resize(driven.size());
  for (size_t frame = 0; frame < driven.size(); ++frame) {
    const double s = s_at(static_cast<int>(frame)), margin = object.lwh.x() / 2 + 0.5;
    if (s < layout.curve.s_min() + margin || s > layout.curve.s_max() - margin) continue;
    if ((layout.curve.At(s, d) - layout.curve.At(driven[frame], ego_d)).norm() > kLabelRange) continue;
    object.track[frame] = layout.Frame(s, d, z + object.lwh.z() / 2, is_forward ? 0 : kPi);
  }
}

// How far the cars of a lane have gone by a frame: they may wait at first, and then set off.
struct LaneMotion {
  double speed;  // metres a frame
  int wait;      // frames
  double At(int frame) const {
    constexpr double kAcceleration = 0.02;  // m per frame squared: 2 m/s^2
    if (wait == 0) return speed * frame;
    const double moving = std::max(0, frame - wait), ramp = speed / kAcceleration;
    return moving < ramp ? 0.5 * kAcceleration * moving * moving : speed * (moving - 0.5 * ramp);
  }
};

}  // namespace

void AddParkedVehicles(RandomStream random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  for (const int side : {-1, 1}) {
    const double parking = layout.Side(side).parking;
    if (parking <= 0) continue;
    const bool is_forward = side < 0 || layout.lanes_forward == layout.lanes;
    const double share = random.Uniform(0.45, 0.8);
    for (double s = layout.curve.s_min() + random.Uniform(0.5, 3);;) {
      SceneObject car = random.Chance(0.08) ? MakeVan(random) : MakeCar(random);
      const double middle = s + car.lwh.x() / 2, until = s + car.lwh.x();
      if (until > layout.curve.s_max() - 0.5) break;
      const double d = side * (layout.half_width - parking / 2 - random.Uniform(0.02, 0.08));
      const double yaw = (is_forward ? 0 : kPi) + random.Uniform(-0.012, 0.012);
      car.parked = layout.Frame(middle, d, layout.RoadHeight(d) + car.lwh.z() / 2, yaw);
      const bool is_taken = random.Chance(share) && !layout.IsAtCrossing(middle, 7);
      s = until + random.Uniform(0.7, 1.8);
      if (is_taken) scene.objects.push_back(std::move(car));
    }
  }
}

void AddTraffic(RandomStream random, const std::vector<double>& driven, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const auto road_height = [&](double d) { return layout.RoadHeight(d); };

  // A cyclist at the right edge of the rightmost lane, a little slower than the ego vehicle and far
  // enough ahead not to be reached; the car in front drives ahead of both.
  const double head_start = 8 + 0.1 * driven.back() + random.Uniform(0, 5);
  SceneObject cyclist = MakeCyclist(random);
  const double cycle_d = layout.LaneBoundary(0) + 0.55;
  SetTrack(
      layout, driven, [&](int frame) { return head_start + 0.9 * driven[frame]; }, cycle_d, road_height(cycle_d), true,
      cyclist);
  scene.objects.push_back(std::move(cyclist));

  for (int lane = 0; lane < layout.lanes; ++lane) {
    const double d = layout.LaneCentre(lane) + random.Uniform(-0.15, 0.15);
    const LaneMotion motion = {random.Uniform(0.6, 1.3), random.Chance(0.3) ? 10 + random.Integer(30) : 0};
    if (lane == layout.ego_lane) {
      std::vector<double> offsets = {head_start + random.Uniform(6, 12)};
      if (random.Chance(0.6)) offsets.push_back(-random.Uniform(12, 20));
      for (const double offset : offsets) {
        SceneObject car = MakeCar(random);
        SetTrack(
            layout, driven, [&](int frame) { return offset + driven[frame]; }, d, road_height(d), true, car);
        scene.objects.push_back(std::move(car));
      }
      continue;
    }
    // The cyclist has the rightmost lane to itself.
    if (lane == 0) continue;
    const bool is_forward = layout.IsForward(lane);
    double start = is_forward ? random.Uniform(-25, 5) : random.Uniform(15, 35);
    const int cars = 2 + random.Integer(4);
    for (int k = 0; k < cars; ++k) {
      SceneObject car = MakeCar(random);
      const double direction = is_forward ? 1 : -1;
      SetTrack(
          layout, driven, [&](int frame) { return start + direction * motion.At(frame); }, d, road_height(d),
          is_forward, car);
      scene.objects.push_back(std::move(car));
      start += random.Uniform(9, 30);
    }
  }

  const int people = 3 + random.Integer(5);
  for (int k = 0; k < people; ++k) {
    SceneObject person = MakePedestrian(random);
    const int side = random.Chance(0.5) ? -1 : 1;
    const double d = side * (layout.SidewalkEdge(side) - random.Uniform(0.5, layout.Side(side).sidewalk - 0.4));
    const double start = random.Uniform(5, 15 + driven.back()), speed = random.Uniform(0.09, 0.16);
    // The first one stands; the second always walks.
    const bool walks = k != 0, is_forward = random.Chance(0.5);
    if (walks) {
      SetTrack(
          layout, driven, [&](int frame) { return start + (is_forward ? 1 : -1) * speed * frame; }, d,
          layout.GroundHeight(), is_forward, person);
    } else {
      person.parked = layout.Frame(start, d, layout.GroundHeight() + person.lwh.z() / 2, random.Uniform(-kPi, kPi));
    }
    scene.objects.push_back(std::move(person));
  }
}

void NameObjects(RandomStream random, std::vector<SceneObject>& objects) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::set<std::string> taken;
  for (SceneObject& object : objects) {
    do {
      object.id.clear();
      for (int k = 0; k < 22; ++k) object.id += kAlphabet[random.Integer(64)];
    } while (!taken.insert(object.id).second);
  }
}

}  // namespace cubist
