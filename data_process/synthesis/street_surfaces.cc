#include "data_process/synthesis/street_surfaces.h"

#include <algorithm>
#include <cmath>

namespace cubist {
namespace {

using Eigen::Vector3d;

// Length of the flat pieces that follow the bend: off the true line by 3 mm at most.
constexpr double kPiece = 2.0;
constexpr double kMarkWidth = 0.15;
// Paint lies a little above the road.
constexpr double kMarkHeight = 0.005;
// Ground is seen as far as this behind the fronts of the houses.
constexpr double kGardenDepth = 6.0;

// A band across the street from (d0, z0) to (d1, z1) in the street frame's heights.
struct Band {
  double d0, z0, d1, z1;
  SemanticClass label;
  bool is_ground = false;
};

void AddPiece(const Band& band, double s0, double s1, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const Patch patch = {{layout.Point(s0, band.d0, band.z0), layout.Point(s1, band.d0, band.z0),
                        layout.Point(s1, band.d1, band.z1), layout.Point(s0, band.d1, band.z1)}};
  scene.surfaces.push_back({patch, band.label, band.is_ground, true});
}

// The band from s0 to s1, in pieces.
void AddBand(const Band& band, double s0, double s1, Scene& scene) {
  const int pieces = std::max(1, static_cast<int>(std::ceil((s1 - s0) / kPiece - 1e-9)));
  for (int k = 0; k < pieces; ++k) {
    AddPiece(band, s0 + (s1 - s0) * k / pieces, s0 + (s1 - s0) * (k + 1) / pieces, scene);
  }
}

// A painted line around d: dashed with `dash` metres painted of every `period`, or solid (dash 0).
void AddMark(double d, double dash, double period, double from, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double d0 = d - kMarkWidth / 2, d1 = d + kMarkWidth / 2;
  const Band band = {d0, layout.RoadHeight(d0) + kMarkHeight, d1, layout.RoadHeight(d1) + kMarkHeight,
                     SemanticClass::kLaneMarker};
  if (dash <= 0) return AddBand(band, layout.curve.s_min(), layout.curve.s_max(), scene);
  for (double s = layout.curve.s_min() + from; s + dash < layout.curve.s_max(); s += period) {
    AddBand(band, s, s + dash, scene);
  }
}

void AddMarks(RandomStream& random, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double dash = random.Uniform(2.5, 4.0), period = dash * random.Uniform(2.5, 3.2);
  const double from = random.Uniform(0, period);
  for (int index = 0; index <= layout.lanes; ++index) {
    const double d = layout.LaneBoundary(index);
    if (index == 0 || index == layout.lanes) {
      // The edge of the road needs no line where there is a kerb.
      if (layout.half_width - std::abs(d) > 0.5) AddMark(d, 0, 0, 0, scene);
    } else if (index == layout.lanes_forward) {
      AddMark(d - 0.15, 0, 0, 0, scene);
      AddMark(d + 0.15, 0, 0, 0, scene);
    } else {
      AddMark(d, dash, period, from, scene);
    }
  }
}

void AddRoad(Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double edge = layout.RoadHeight(layout.half_width);
  for (const int side : {-1, 1}) {
    AddBand({0, 0, side * layout.half_width, edge, SemanticClass::kRoad}, layout.curve.s_min(), layout.curve.s_max(),
            scene);
  }
}

void AddFootways(RandomStream& random, int side, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  const double s0 = layout.curve.s_min(), s1 = layout.curve.s_max();
  const double height = layout.GroundHeight();
  double d = layout.half_width;
  // The kerb's face leans back by 2 cm.
  AddBand({side * d, height - StreetLayout::kKerbHeight, side * (d + 0.02), height, SemanticClass::kCurb}, s0, s1,
          scene);
  AddBand({side * (d + 0.02), height, side * (d + StreetLayout::kKerbWidth), height, SemanticClass::kCurb}, s0, s1,
          scene);
  d += StreetLayout::kKerbWidth;
  const RoadSide& widths = layout.Side(side);
  if (widths.planting > 0) {
    AddBand({side * d, height, side * (d + widths.planting), height, SemanticClass::kWalkable}, s0, s1, scene);
    d += widths.planting;
  }
  AddBand({side * d, height, side * (d + widths.sidewalk), height, SemanticClass::kSidewalk}, s0, s1, scene);
  d += widths.sidewalk;
  // Gardens, with drives in between; in towns, paved forecourts.
  const double outer = d + widths.setback + kGardenDepth;
  const SemanticClass garden = layout.is_urban ? SemanticClass::kOtherGround : SemanticClass::kWalkable;
  double next_drive = s0 + random.Uniform(4, 20);
  bool is_drive = false;
  for (double s = s0; s < s1;) {
    const double until = std::min(s1, is_drive ? s + random.Uniform(3, 4.5) : next_drive);
    AddBand({side * d, height, side * outer, height, is_drive ? SemanticClass::kOtherGround : garden,
             /*is_ground=*/true},
            s, until, scene);
    if (is_drive) next_drive = until + random.Uniform(9, 24);
    is_drive = !is_drive;
    s = until;
  }
}

// A zebra crossing, and a traffic light over the lanes of either direction.
void AddCrossing(double s, Scene& scene) {
  const StreetLayout& layout = scene.layout;
  for (double d = -layout.half_width + 0.6; d + 0.5 < layout.half_width; d += 1.0) {
    const Band stripe = {d, layout.RoadHeight(d) + kMarkHeight, d + 0.5, layout.RoadHeight(d + 0.5) + kMarkHeight,
                         SemanticClass::kLaneMarker};
    AddBand(stripe, s - 1.6, s + 1.6, scene);
  }
  for (const int side : {-1, 1}) {
    const double d = side * (layout.half_width + 0.5), reach = std::min(layout.half_width, 5.0);
    const Vector3d foot = layout.Point(s - side * 2.5, d, layout.GroundHeight());
    const Vector3d over = layout.Point(s - side * 2.5, d - side * reach, 0) - layout.Point(s - side * 2.5, d, 0);
    scene.surfaces.push_back({Cylinder{foot, Vector3d(0, 0, 5.6), 0.1}, SemanticClass::kPole});
    scene.surfaces.push_back({Cylinder{foot + Vector3d(0, 0, 5.5), over, 0.06}, SemanticClass::kPole});
    for (const double part : {0.55, 0.97}) {
      Box light = {layout.Frame(s - side * 2.5, d - side * reach * part, layout.GroundHeight() + 5.2),
                   Vector3d(0.3, 0.35, 0.95)};
      light.seen[4] = true;
      scene.surfaces.push_back({light, SemanticClass::kTrafficLight});
    }
  }
}

}  // namespace

void AddStreetSurfaces(RandomStream random, Scene& scene) {
  AddRoad(scene);
  AddMarks(random, scene);
  for (const int side : {-1, 1}) AddFootways(random, side, scene);
  if (scene.layout.crossing.has_value()) AddCrossing(*scene.layout.crossing, scene);
}

}  // namespace cubist
