#include "data_process/synthesis/backdrop.h"

#include <algorithm>
#include <cmath>

namespace cubist {
namespace {

using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
// How far the street is seen to go on, and everything else beyond it, in metres.
constexpr double kOnwards = 220;
constexpr double kPlain = 900;
// Fronts of houses behind the gardens.
constexpr double kBehindHouses = 24;

void Add(const decltype(Primitive::shape)& shape, SemanticClass label, Scene& scene) {
  scene.backdrop.push_back({shape, label, false, /*is_seen=*/false});
}

// The street beyond its end is straight: long pieces will do.
void AddBand(double d0, double z0, double d1, double z1, SemanticClass label, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  constexpr double kPiece = 20;
  const double s0 = layout.curve.s_max();
  for (double s = s0; s < s0 + kOnwards; s += kPiece) {
    Add(Patch{{layout.Point(s, d0, z0), layout.Point(s + kPiece, d0, z0), layout.Point(s + kPiece, d1, z1),
               layout.Point(s, d1, z1)}},
        label, scene);
  }
}

void AddStreetOnwards(Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double height = layout.GroundHeight(), half = layout.half_width, gutter = layout.RoadHeight(half);
  for (const int side : {-1, 1}) {
    AddBand(0, 0, side * half, gutter, SemanticClass::kRoad, scene);
    AddBand(side * half, gutter, side * (half + 0.02), height, SemanticClass::kCurb, scene);
    AddBand(side * (half + 0.02), height, side * (half + StreetLayout::kKerbWidth), height, SemanticClass::kCurb,
            scene);
    AddBand(side * (half + StreetLayout::kKerbWidth), height, side * layout.SidewalkEdge(side), height,
            SemanticClass::kSidewalk, scene);
  }
  for (const double shift : {-0.15, 0.15}) {
    const double d = layout.LaneBoundary(layout.lanes_forward) + shift;
    AddBand(d - 0.075, layout.RoadHeight(d - 0.075) + 0.01, d + 0.075, layout.RoadHeight(d + 0.075) + 0.01,
            SemanticClass::kLaneMarker, scene);
  }
}

void AddHouse(double s, double d, double width, double depth, double height, Scene& scene) {
  Box box = {scene.layout.Frame(s, d, scene.layout.GroundHeight() - 0.4 + height / 2, d < 0 ? kPi : 0),
             Vector3d(width, depth, height)};
  Add(box, SemanticClass::kBuilding, scene);
}

void AddTree(double s, double d, double size, RandomStream& random, Scene& scene) {
  const Vector3d radii(size * random.Uniform(0.9, 1.2), size * random.Uniform(0.9, 1.2),
                       size * random.Uniform(0.9, 1.4));
  Add(Ellipsoid{scene.layout.Point(s, d, scene.layout.GroundHeight() + radii.z() * random.Uniform(0.8, 1.2)), radii},
      SemanticClass::kVegetation, scene);
}

}  // namespace

void AddBackdrop(RandomStream random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double s_min = layout.curve.s_min(), s_max = layout.curve.s_max(), s_end = s_max + kOnwards;

  // A plain below everything.
  const double ground = layout.GroundHeight() - 0.3, reach = kPlain + (s_max - s_min) / 2;
  const Vector3d middle = (layout.Point(s_min, 0, 0) + layout.Point(s_end, 0, 0)) / 2;
  Patch plain;
  for (int corner = 0; corner < 4; ++corner) {
    plain.corners[corner] = middle + Vector3d(corner == 1 || corner == 2 ? reach : -reach, corner >= 2 ? reach : -reach,
                                              ground - middle.z());
  }
  Add(plain, layout.is_urban ? SemanticClass::kOtherGround : SemanticClass::kWalkable, scene);
  AddStreetOnwards(scene);

  for (const int side : {-1, 1}) {
    // Houses along the street where it goes on.
    for (double s = s_max + 1; s < s_end;) {
      const double width = layout.is_urban ? random.Uniform(9, 24) : random.Uniform(8, 15);
      const double height = layout.is_urban ? random.Uniform(7, 20) : random.Uniform(4.5, 8);
      const double front = layout.SidewalkEdge(side) + std::max(0.6, layout.Side(side).setback);
      AddHouse(s + width / 2, side * (front + 4.5), width, 9, height, scene);
      s += width + (layout.is_urban ? 0 : random.Uniform(3, 8));
    }
    // A second row, houses and trees, all along.
    for (double s = s_min; s < s_end; s += random.Uniform(9, 20)) {
      const double d = layout.SidewalkEdge(side) + layout.Side(side).setback + kBehindHouses + random.Uniform(0, 16);
      if (random.Chance(layout.is_urban ? 0.7 : 0.4)) {
        AddHouse(s, side * d, random.Uniform(9, 18), random.Uniform(8, 12),
                 layout.is_urban ? random.Uniform(8, 24) : random.Uniform(5, 9), scene);
      } else {
        AddTree(s, side * (d - 6), random.Uniform(2.5, 5), random, scene);
      }
    }
  }
  // Trees where the view along the street ends, and hills around.
  for (double d = -90; d <= 90; d += random.Uniform(5, 9)) {
    AddTree(s_end + random.Uniform(4, 16), d, random.Uniform(4, 7), random, scene);
  }
  for (double angle = 0; angle < 2 * kPi; angle += random.Uniform(0.2, 0.4)) {
    const Vector3d centre = middle + reach * random.Uniform(0.55, 0.75) * Vector3d(std::cos(angle), std::sin(angle), 0);
    Add(Ellipsoid{Vector3d(centre.x(), centre.y(), ground - 5),
                  Vector3d(random.Uniform(120, 220), random.Uniform(120, 220), random.Uniform(18, 48))},
        SemanticClass::kVegetation, scene);
  }
}

}  // namespace cubist
