#include "data_process/synthesis/street_layout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace cubist {
namespace {

using Eigen::Vector2d;

TEST(StreetCurveTest, ItIsMeasuredByItsLengthAndHeadsWhereItGoes) {
  const StreetCurve curve(0.3, 350, 1.1, -40, 160);
  EXPECT_LT(curve.At(0, 0).norm(), 1e-12);
  EXPECT_LT(std::abs(curve.Heading(0)), 1e-12);
  const double h = 1e-4;
  for (double s = -40; s < 159; s += 0.73) {
    const Vector2d step = (curve.At(s + h, 0) - curve.At(s - h, 0)) / (2 * h);
    EXPECT_NEAR(step.x(), std::cos(curve.Heading(s)), 1e-5) << s;
    EXPECT_NEAR(step.y(), std::sin(curve.Heading(s)), 1e-5) << s;
    // To the left at a right angle.
    const Vector2d left = curve.At(s, 1) - curve.At(s, 0);
    EXPECT_NEAR(left.norm(), 1, 1e-12);
    EXPECT_NEAR(step.x() * left.y() - step.y() * left.x(), 1, 1e-5);
  }
}

TEST(StreetCurveTest, WithoutAmplitudeItIsStraight) {
  const StreetCurve curve(0, 300, 2, -40, 100);
  EXPECT_LT((curve.At(73.4, -5) - Vector2d(73.4, -5)).norm(), 1e-9);
  EXPECT_LT((curve.At(-33.1, 4) - Vector2d(-33.1, 4)).norm(), 1e-9);
}

TEST(StreetCurveTest, ProjectInvertsAt) {
  const StreetCurve curve(0.25, 280, 4, -40, 200);
  for (double s = -39; s < 199; s += 3.1) {
    for (const double d : {-30.0, -3.3, 0.0, 12.5, 35.0}) {
      const Vector2d back = curve.Project(curve.At(s, d), s + 2);
      EXPECT_NEAR(back.x(), s, 1e-6);
      EXPECT_NEAR(back.y(), d, 1e-6);
    }
  }
}

TEST(StreetLayoutTest, StreetsVaryWithinWhatIsPromised) {
  std::set<int> lanes;
  bool any_straight = false, any_bent = false, any_urban = false, any_suburban = false, any_crossing = false;
  for (uint64_t clip = 0; clip < 60; ++clip) {
    const StreetLayout layout = MakeStreetLayout(RandomStream(5, clip, SceneStream::kLayout), 90);
    lanes.insert(layout.lanes);
    EXPECT_EQ(layout.curve.s_min(), -40);
    EXPECT_EQ(layout.curve.s_max(), 130);
    EXPECT_GE(layout.lanes_forward, 1);
    EXPECT_LE(layout.lanes_forward, layout.lanes);
    EXPECT_TRUE(layout.IsForward(layout.ego_lane));
    EXPECT_NEAR(layout.LaneBoundary(layout.lanes), layout.half_width - layout.left.parking, 1e-12);
    EXPECT_LT(layout.SidewalkEdge(1), 20);
    EXPECT_GT(layout.right.parking, 0);
    EXPECT_NEAR(layout.GroundHeight() - layout.RoadHeight(-layout.half_width), 0.15, 1e-12);
    double bend = 0;
    for (double s = -40; s < 129; ++s)
      bend = std::max(bend, std::abs(layout.curve.Heading(s + 1) - layout.curve.Heading(s)));
    EXPECT_LT(bend, 1.0 / 155);
    (bend == 0 ? any_straight : any_bent) = true;
    (layout.is_urban ? any_urban : any_suburban) = true;
    any_crossing = any_crossing || layout.crossing.has_value();
  }
  EXPECT_EQ(lanes, (std::set<int>{2, 3, 4}));
  EXPECT_TRUE(any_straight && any_bent && any_urban && any_suburban && any_crossing);
}

}  // namespace
}  // namespace cubist
