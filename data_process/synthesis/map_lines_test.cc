#include "data_process/synthesis/map_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<double> Xs(const std::vector<Vector3d>& points) {
  std::vector<double> xs;
  for (const Vector3d& point : points) xs.push_back(point.x());
  return xs;
}

auto About(double value) { return DoubleNear(value, 1e-12); }

// Expected values by hand from numpy: linspace(0, 1, max(ceil(len / 0.25), 2))[:-1] and the last vertex.
TEST(DiscretizeTest, TheReferencesRule) {
  const Vector3d o(0, 0, 0), x(1, 0, 0);
  // len 1 -> n 4: the step is a third, not a quarter.
  EXPECT_THAT(Xs(Discretize({{o, x}}, 0.25)), ElementsAre(0, About(1.0 / 3), About(2.0 / 3), 1));
  // len 0.25 -> ceil 1 -> n 2; len 0.5 -> n 2; len 0.51 -> n 3.
  EXPECT_THAT(Xs(Discretize({{o, 0.25 * x}}, 0.25)), ElementsAre(0, 0.25));
  EXPECT_THAT(Xs(Discretize({{o, 0.5 * x}}, 0.25)), ElementsAre(0, 0.5));
  EXPECT_THAT(Xs(Discretize({{o, 0.51 * x}}, 0.25)), ElementsAre(0, About(0.255), 0.51));
  // A shared vertex comes once, a short segment gives its first vertex, each polyline its own last one.
  EXPECT_THAT(Xs(Discretize({{o, 0.1 * x, 0.85 * x}, {2 * x, 2.1 * x}}, 0.25)),
              ElementsAre(0, 0.1, About(0.475), 0.85, 2, 2.1));
  // A vertex twice, one vertex, none.
  EXPECT_THAT(Xs(Discretize({{o, o, 0.2 * x}, {3 * x}, {}}, 0.25)), ElementsAre(0, 0, 0.2, 3));
  EXPECT_TRUE(Discretize({}, 0.25).empty());
}

TEST(DiscretizeTest, LengthIsMeasuredInSpace) {
  // len sqrt(3) = 1.732 -> n 7: six points and the last.
  const std::vector<Vector3d> points = Discretize({{Vector3d(0, 0, 0), Vector3d(1, 1, 1)}}, 0.25);
  ASSERT_EQ(points.size(), 7u);
  EXPECT_LT((points[3] - Vector3d(0.5, 0.5, 0.5)).norm(), 1e-12);
}

class StreetMapTest : public ::testing::Test {
 protected:
  StreetMapTest() : layout_(MakeStreetLayout(RandomStream(11, 4, SceneStream::kLayout), 80)) {
    to_world_.linear() =
        (Eigen::AngleAxisd(2.2, Vector3d::UnitZ()) * Eigen::AngleAxisd(0.04, Vector3d::UnitY())).toRotationMatrix();
    to_world_.translation() = Vector3d(20000, -15000, 30);
  }
  StreetLayout layout_;
  Isometry3d to_world_ = Isometry3d::Identity();
};

TEST_F(StreetMapTest, LinesLieWhereTheyShould) {
  const MapLines map = MakeMapLines(RandomStream(11, 4, SceneStream::kMap), layout_);
  const auto d_of = [&](const Vector3d& point) { return layout_.curve.Project(point.head<2>(), point.x()).y(); };
  double edge_length = 0;
  for (const Polyline& line : map.road_edges) {
    for (const Vector3d& point : line) EXPECT_NEAR(std::abs(d_of(point)), layout_.half_width, 1e-6);
    for (size_t k = 0; k + 1 < line.size(); ++k) edge_length += (line[k + 1] - line[k]).norm();
  }
  // Both kerbs from end to end; what the bend adds on one side it takes from the other.
  EXPECT_NEAR(edge_length, 2 * (layout_.curve.s_max() - layout_.curve.s_min()), 0.1);
  bool any_backward = false;
  for (const Polyline& line : map.lanes) {
    double nearest = 1e9;
    int lane = -1;
    for (int k = 0; k < layout_.lanes; ++k) {
      const double away = std::abs(d_of(line[0]) - layout_.LaneCentre(k));
      if (away < nearest) nearest = away, lane = k;
    }
    EXPECT_LT(nearest, 1e-6);
    const bool is_forward = line.back().x() > line.front().x();
    EXPECT_EQ(is_forward, layout_.IsForward(lane));
    any_backward = any_backward || !is_forward;
  }
  EXPECT_EQ(any_backward, layout_.lanes_forward < layout_.lanes);
  EXPECT_GE(map.road_lines.size(), static_cast<size_t>(layout_.lanes) - 1);
}

TEST_F(StreetMapTest, RoadSurfaceIsALatticeOnTheRoad) {
  const MapLines map = MakeMapLines(RandomStream(11, 4, SceneStream::kMap), layout_);
  const std::vector<Vector3d> lanes = Discretize(Transformed(to_world_, map.lanes), kMapInterval);
  double x0 = 1e9, y0 = 1e9;
  for (const Vector3d& point : lanes) x0 = std::min(x0, point.x()), y0 = std::min(y0, point.y());
  const std::vector<Vector3d> surface = RoadSurface(layout_, to_world_, lanes);
  const double area = 2 * layout_.half_width * (layout_.curve.s_max() - layout_.curve.s_min());
  // A slope of 0.04 shrinks the area seen from above by less than 0.1 %.
  EXPECT_NEAR(static_cast<double>(surface.size()), area / 0.16, 0.01 * area / 0.16);
  const Isometry3d to_street = to_world_.inverse();
  for (size_t k = 0; k < surface.size(); ++k) {
    const Vector3d& point = surface[k];
    const double column = (point.x() - x0) / 0.4, row = (point.y() - y0) / 0.4;
    EXPECT_NEAR(column, std::round(column), 1e-7);
    EXPECT_NEAR(row, std::round(row), 1e-7);
    const Vector3d street = to_street * point;
    const double d = layout_.curve.Project(street.head<2>(), street.x()).y();
    EXPECT_LE(std::abs(d), layout_.half_width + 1e-6);
    EXPECT_NEAR(street.z(), -layout_.camber * std::abs(d), 1e-6);
    if (k > 0) {
      const double next = (surface[k].y() - surface[k - 1].y()) * 1e6 + (surface[k].x() - surface[k - 1].x());
      EXPECT_GT(next, 0) << "not sorted, or twice";
    }
  }
  EXPECT_TRUE(RoadSurface(layout_, to_world_, {}).empty());
}

}  // namespace
}  // namespace cubist
