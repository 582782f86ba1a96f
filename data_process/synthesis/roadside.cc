#include "data_process/synthesis/roadside.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
constexpr double kStorey = 3.1;

struct House {
  double s0, s1;  // along the street
  double front;   // distance of the front from the middle of the road
  double depth;
  double height;  // of the walls
  bool is_gabled;
  bool ends_seen;  // whether the neighbours leave a gap
};

Isometry3d Shifted(const Isometry3d& frame, const Vector3d& by) {
  Isometry3d shifted = frame;
  shifted.translation() = frame * by;
  return shifted;
}

// The house in a frame with x along the street and y away from it, origin on the ground in the middle.
void AddHouse(const House& house, const Isometry3d& frame, RandomStream& random, Scene& scene) {
  const double width = house.s1 - house.s0, half_x = width / 2, half_y = house.depth / 2;
  Box walls = {Shifted(frame, Vector3d(0, 0, house.height / 2)),
               Vector3d(width, house.depth, house.height),
               {house.ends_seen, house.ends_seen, true, false, false, false}};
  scene.surfaces.push_back({walls, SemanticClass::kBuilding});
  scene.footprints.push_back({frame, Eigen::Vector2d(half_x, half_y)});

  if (house.is_gabled) {
    const double ridge = house.height + random.Uniform(0.3, 0.45) * house.depth, eaves = half_y + 0.4;
    for (const int side : {-1, 1}) {
      const Patch slope = {{frame * Vector3d(-half_x, side * eaves, house.height - 0.2),
                            frame * Vector3d(half_x, side * eaves, house.height - 0.2),
                            frame * Vector3d(half_x, 0, ridge), frame * Vector3d(-half_x, 0, ridge)}};
      scene.surfaces.push_back({slope, SemanticClass::kBuilding, false, /*is_seen=*/side < 0});
      // The wall below the end of the roof, a triangle, is for cameras only.
      const double x = side * (half_x - 0.1);
      const Vector3d top = frame * Vector3d(x, 0, ridge);
      const Patch gable = {
          {frame * Vector3d(x, -eaves, house.height - 0.2), frame * Vector3d(x, eaves, house.height - 0.2), top, top}};
      scene.backdrop.push_back({gable, SemanticClass::kBuilding, false, /*is_seen=*/false});
    }
    return;
  }
  // A flat roof's edge stands out, and so do balconies above the first storey.
  const Box cornice = {Shifted(frame, Vector3d(0, -half_y - 0.15, house.height - 0.2)),
                       Vector3d(width, 0.3, 0.4),
                       {true, true, true, false, true, false}};
  scene.surfaces.push_back({cornice, SemanticClass::kBuilding});
  const double bay = width / std::max(1.0, std::floor(width / 4));
  const bool has_balconies = random.Chance(0.5);
  for (double z = kStorey; has_balconies && z + kStorey < house.height + 0.5; z += kStorey) {
    for (double x = -half_x + bay / 2; x < half_x; x += bay) {
      if (!random.Chance(0.45)) continue;
      const Box balcony = {Shifted(frame, Vector3d(x, -half_y - 0.5, z + 0.5)),
                           Vector3d(2.4, 1.0, 1.0),
                           {true, true, true, false, true, false}};
      scene.surfaces.push_back({balcony, SemanticClass::kBuilding});
    }
  }
}

void AddHedge(double s0, double s1, int side, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  for (double s = s0; s < s1; s += 3) {
    const double length = std::min(3.0, s1 - s);
    const Box piece = {
        layout.Frame(s + length / 2, side * (layout.SidewalkEdge(side) + 0.5), layout.GroundHeight() + 0.55),
        Vector3d(length, 0.6, 1.1)};
    scene.surfaces.push_back({piece, SemanticClass::kVegetation});
  }
}

void AddTree(double s, double d, double size, RandomStream& random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double height = size * random.Uniform(2.2, 3.4);
  const Vector3d foot = layout.Point(s, d, layout.GroundHeight());
  const Vector3d lean(random.Uniform(-0.15, 0.15), random.Uniform(-0.15, 0.15), 0);
  const double wide = size * random.Uniform(1.3, 2.3), tall = size * random.Uniform(1.3, 2.4);
  const Vector3d top = foot + lean + Vector3d(0, 0, height);
  scene.surfaces.push_back({Cylinder{foot, top - foot + Vector3d(0, 0, 0.2 * tall), size * random.Uniform(0.1, 0.2)},
                            SemanticClass::kTreeTrunk});
  scene.surfaces.push_back(
      {Ellipsoid{top + Vector3d(0, 0, 0.75 * tall), Vector3d(wide, wide * random.Uniform(0.85, 1.15), tall), 0.25},
       SemanticClass::kVegetation});
}

void AddLamp(double s, int side, RandomStream& random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double d = side * (layout.half_width + 0.4), height = random.Uniform(6, 8), reach = 1.8;
  const Vector3d foot = layout.Point(s, d, layout.GroundHeight());
  const Vector3d arm = layout.Point(s, d - side * reach, 0.3) - layout.Point(s, d, 0);
  scene.surfaces.push_back({Cylinder{foot, Vector3d(0, 0, height), 0.09}, SemanticClass::kPole});
  scene.surfaces.push_back({Cylinder{foot + Vector3d(0, 0, height), arm, 0.05}, SemanticClass::kPole});
  const Box head = {layout.Frame(s, d - side * reach, foot.z() + height + 0.3),
                    Vector3d(0.3, 0.7, 0.15),
                    {true, true, true, true, true, true}};
  scene.surfaces.push_back({head, SemanticClass::kPole});
}

// A plate on a post: the post is a pole, the plate an object of type sign.
void AddSign(double s, int side, RandomStream& random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double d = side * (layout.half_width + 0.55), size = random.Uniform(0.55, 0.8);
  const double middle = layout.GroundHeight() + random.Uniform(2.1, 2.6);
  const Vector3d foot = layout.Point(s, d, layout.GroundHeight());
  scene.surfaces.push_back({Cylinder{foot, Vector3d(0, 0, middle - foot.z() - size / 2), 0.04}, SemanticClass::kPole});
  SceneObject sign;
  sign.type = "sign";
  sign.label = SemanticClass::kSign;
  sign.lwh = Vector3d(0.06, size, size);
  sign.shape.push_back({Box{Isometry3d::Identity(), sign.lwh, {true, true, true, true, true, true}}, sign.label});
  sign.parked = layout.Frame(s, d, middle, side < 0 ? kPi : 0);
  scene.objects.push_back(std::move(sign));
}

}  // namespace

std::vector<Primitive> BicycleShape(SemanticClass label) {
  constexpr double kWheel = 0.34;
  std::vector<Primitive> shape;
  for (const double x : {-0.52, 0.52}) {
    shape.push_back({Cylinder{Vector3d(x, -0.02, kWheel - 0.5), Vector3d(0, 0.04, 0), kWheel}, label});
  }
  const Vector3d saddle(-0.2, 0, 0.4), pedals(-0.05, 0, -0.2), handle(0.42, 0, 0.45);
  const Vector3d rear(-0.52, 0, kWheel - 0.5), front(0.52, 0, kWheel - 0.5);
  for (const auto& [from, to] : {std::pair(saddle, pedals), std::pair(pedals, rear), std::pair(handle, front),
                                 std::pair(saddle, handle), std::pair(pedals, handle)}) {
    shape.push_back({Cylinder{from, to - from, 0.025}, label});
  }
  shape.push_back({Cylinder{handle - Vector3d(0, 0.28, 0), Vector3d(0, 0.56, 0), 0.02}, label});
  return shape;
}

void AddBuildings(RandomStream random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  for (const int side : {-1, 1}) {
    double gap = 2;
    for (double s = layout.curve.s_min(); s < layout.curve.s_max() - 6;) {
      House house;
      house.s0 = s;
      house.s1 = std::min(layout.curve.s_max(), s + (layout.is_urban ? random.Uniform(9, 24) : random.Uniform(8, 15)));
      const double next_gap = layout.is_urban ? (random.Chance(0.7) ? 0 : random.Uniform(3, 8)) : random.Uniform(3, 8);
      house.ends_seen = gap > 1 || next_gap > 1;
      house.depth = random.Uniform(7, 10);
      house.height = layout.is_urban ? random.Uniform(7, 20) : random.Uniform(4, 6.5);
      house.is_gabled = !layout.is_urban || random.Chance(0.15);
      house.front = layout.SidewalkEdge(side) +
                    std::max(0.6, layout.Side(side).setback + random.Uniform(-1, layout.is_urban ? 0.5 : 2));
      const Isometry3d frame = layout.Frame((house.s0 + house.s1) / 2, side * (house.front + house.depth / 2),
                                            layout.GroundHeight(), side < 0 ? kPi : 0);
      AddHouse(house, frame, random, scene);
      if (house.is_gabled && layout.Side(side).setback > 3 && random.Chance(0.4)) {
        AddHedge(house.s0, house.s0 + random.Uniform(0.4, 0.9) * (house.s1 - house.s0), side, scene);
      }
      s = house.s1 + next_gap;
      gap = next_gap;
    }
  }
}

void AddTrees(RandomStream random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  for (const int side : {-1, 1}) {
    const RoadSide& widths = layout.Side(side);
    const double pitch = random.Uniform(8, 15);
    const bool is_avenue = widths.planting > 0 || (widths.sidewalk > 2.6 && random.Chance(0.6));
    const double row = layout.half_width + StreetLayout::kKerbWidth + (widths.planting > 0 ? widths.planting / 2 : 0.6);
    for (double s = layout.curve.s_min() + random.Uniform(1, pitch); s < layout.curve.s_max() - 1; s += pitch) {
      const double at = s + random.Uniform(-1.2, 1.2);
      const bool stands = random.Chance(0.8);
      const double size = random.Uniform(0.75, 1.15);
      if (is_avenue && stands && !layout.IsAtCrossing(at, 3.5)) AddTree(at, side * row, size, random, scene);
    }
    if (widths.setback < 3.2) continue;
    for (double s = layout.curve.s_min() + random.Uniform(2, 14); s < layout.curve.s_max() - 2;
         s += random.Uniform(7, 20)) {
      AddTree(s, side * (layout.SidewalkEdge(side) + 1.6), random.Uniform(0.6, 1), random, scene);
    }
  }
}

void AddStreetFurniture(RandomStream random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double first = layout.curve.s_min(), last = layout.curve.s_max();
  const double pitch = random.Uniform(22, 34);
  int side = random.Chance(0.5) ? -1 : 1;
  for (double s = first + random.Uniform(2, pitch); s < last - 1; s += pitch, side = -side) {
    AddLamp(s, side, random, scene);
  }
  for (const int sign_side : {-1, 1}) {
    for (double s = first + random.Uniform(5, 30); s < last - 1; s += random.Uniform(20, 45)) {
      if (!layout.IsAtCrossing(s, 1.5)) AddSign(s, sign_side, random, scene);
    }
  }
  for (double s = first + random.Uniform(5, 40); s < last - 2; s += random.Uniform(25, 60)) {
    const int where = random.Chance(0.5) ? -1 : 1;
    const Isometry3d stand = layout.Frame(s, where * (layout.SidewalkEdge(where) - 0.35), layout.GroundHeight() + 0.5,
                                          random.Uniform(-0.2, 0.2));
    for (Primitive& part : BicycleShape(SemanticClass::kBicycle)) {
      Cylinder& tube = std::get<Cylinder>(part.shape);
      tube.base = stand * tube.base;
      tube.axis = stand.linear() * tube.axis;
      scene.surfaces.push_back(part);
    }
  }
  if (random.Chance(0.5)) {
    const double start = random.Uniform(0, std::max(1.0, last - 50));
    for (int k = 0; k < 5; ++k) {
      const double d = -layout.half_width + 0.25;
      const Vector3d foot = layout.Point(start + 1.6 * k, d, layout.RoadHeight(d));
      scene.surfaces.push_back({Cylinder{foot, Vector3d(0, 0, 0.7), 0.14}, SemanticClass::kConstructionCone});
    }
  }
}

}  // namespace cubist
