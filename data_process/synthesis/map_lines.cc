#include "data_process/synthesis/map_lines.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <utility>

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

// The line at d, `z` above the street's plane, in pieces of 40 to 90 m.
void AddLine(const StreetLayout& layout, double d, double z, bool is_forward, RandomStream& random,
             std::vector<Polyline>& lines) {
  const double s_max = layout.curve.s_max();
  double s = layout.curve.s_min();
  while (s < s_max) {
    double until = s + random.Uniform(40, 90);
    if (s_max - until < 10) until = s_max;
    const int segments = std::max(1, static_cast<int>(std::ceil((until - s) / random.Uniform(0.4, 0.6))));
    Polyline line;
    for (int k = 0; k <= segments; ++k) line.push_back(layout.Point(s + (until - s) * k / segments, d, z));
    if (!is_forward) std::reverse(line.begin(), line.end());
    lines.push_back(std::move(line));
    s = until;
  }
}

}  // namespace

MapLines MakeMapLines(RandomStream random, const StreetLayout& layout) {
  MapLines map;
  for (int lane = 0; lane < layout.lanes; ++lane) {
    const double d = layout.LaneCentre(lane);
    AddLine(layout, d, layout.RoadHeight(d), layout.IsForward(lane), random, map.lanes);
  }
  for (const int side : {-1, 1}) {
    const double d = side * layout.half_width;
    AddLine(layout, d, layout.RoadHeight(d), true, random, map.road_edges);
  }
  for (int index = 0; index <= layout.lanes; ++index) {
    const double d = layout.LaneBoundary(index);
    const bool is_outer = index == 0 || index == layout.lanes;
    if (is_outer && layout.half_width - std::abs(d) <= 0.5) continue;
    AddLine(layout, d, layout.RoadHeight(d), true, random, map.road_lines);
  }
  return map;
}

std::vector<Vector3d> Discretize(const std::vector<Polyline>& polylines, double interval) {
  std::vector<Vector3d> points;
  for (const Polyline& line : polylines) {
    if (line.empty()) continue;
    for (size_t k = 0; k + 1 < line.size(); ++k) {
      const Vector3d step = line[k + 1] - line[k];
      const int count = std::max(static_cast<int>(std::ceil(step.norm() / interval)), 2);
      for (int i = 0; i < count - 1; ++i) points.push_back(line[k] + step * (static_cast<double>(i) / (count - 1)));
    }
    points.push_back(line.back());
  }
  return points;
}

std::vector<Vector3d> RoadSurface(const StreetLayout& layout, const Isometry3d& street_to_world,
                                  const std::vector<Vector3d>& world_lanes) {
  if (world_lanes.empty()) return {};
  double x0 = world_lanes[0].x(), y0 = world_lanes[0].y();
  for (const Vector3d& point : world_lanes) {
    x0 = std::min(x0, point.x());
    y0 = std::min(y0, point.y());
  }
  const Isometry3d world_to_street = street_to_world.inverse();
  // The height of the world point above (x, y) that lies `z` above the street's plane.
  const auto world_height = [&](double x, double y, double z) {
    const auto row = world_to_street.matrix().row(2);
    return (z - row(0) * x - row(1) * y - row(3)) / row(2);
  };
  // Half the lattice's step along and across the street meets every cell near the road, a few twice.
  const double step = kRoadSurfaceCell / 2;
  struct Cell {
    int64_t row, column;
    double s;  // near it
  };
  std::vector<Cell> cells;
  for (double s = layout.curve.s_min(); s <= layout.curve.s_max(); s += step) {
    for (double d = -layout.half_width; d <= layout.half_width; d += step) {
      const Vector3d world = street_to_world * layout.Point(s, d, layout.RoadHeight(d));
      cells.push_back(
          {std::llround((world.y() - y0) / kRoadSurfaceCell), std::llround((world.x() - x0) / kRoadSurfaceCell), s});
    }
  }
  std::sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
    return std::tie(a.row, a.column, a.s) < std::tie(b.row, b.column, b.s);
  });
  const auto is_same = [](const Cell& a, const Cell& b) { return a.row == b.row && a.column == b.column; };
  cells.erase(std::unique(cells.begin(), cells.end(), is_same), cells.end());

  std::vector<Vector3d> points;
  for (const Cell& cell : cells) {
    const double x = x0 + kRoadSurfaceCell * static_cast<double>(cell.column);
    const double y = y0 + kRoadSurfaceCell * static_cast<double>(cell.row);
    // The height depends on d through the camber alone: two rounds settle it far below a millimetre.
    double z = 0;
    Eigen::Vector2d street(0, 0);
    Vector3d local;
    for (int round = 0; round < 3; ++round) {
      local = world_to_street * Vector3d(x, y, world_height(x, y, z));
      street = layout.curve.Project(local.head<2>(), cell.s);
      z = layout.RoadHeight(street.y());
    }
    if (std::abs(street.y()) > layout.half_width || street.x() < layout.curve.s_min() ||
        street.x() > layout.curve.s_max()) {
      continue;
    }
    points.push_back(Vector3d(x, y, world_height(x, y, z)));
  }
  return points;
}

std::vector<Polyline> Transformed(const Isometry3d& transform, const std::vector<Polyline>& polylines) {
  std::vector<Polyline> moved = polylines;
  for (Polyline& line : moved) {
    for (Vector3d& point : line) point = transform * point;
  }
  return moved;
}

}  // namespace cubist
