// The shape of a street: a gently bent reference line and what lies to its left and right.
//
// Street coordinates are (s, d): s metres along the reference line (s = 0 is where the ego vehicle
// starts), d metres to its left. The street frame is x east of the start, z up; the street lies in its
// plane z = 0 apart from the camber of the road and the height of the kerbs.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_STREET_LAYOUT_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_STREET_LAYOUT_H_

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <optional>
#include <vector>

#include "data_process/synthesis/random_stream.h"

namespace cubist {

// A line whose heading swings as amplitude * (sin(2 pi s / wavelength + phase) - sin(phase)).
class StreetCurve {
 public:
  // Radians and metres; the curve is defined from s_min <= 0 to s_max >= 0 and goes on straight beyond.
  StreetCurve(double amplitude, double wavelength, double phase, double s_min, double s_max);

  // Radians from the street frame's x axis; 0 at s = 0.
  double Heading(double s) const;
  // (x, y) of (s, d) in the street frame.
  Eigen::Vector2d At(double s, double d) const;
  // (s, d) of a point near the line, by Newton's method; exact where |d| is below the radius of the bend.
  Eigen::Vector2d Project(const Eigen::Vector2d& point, double s_guess) const;

  double s_min() const { return s_min_; }
  double s_max() const { return s_max_; }

 private:
  double amplitude_, frequency_, phase_;
  double s_min_, s_max_;
  // Points on the line every metre from floor(s_min).
  double first_;
  std::vector<Eigen::Vector2d> points_;
};

// One side of the road, widths in metres from the kerb outwards.
struct RoadSide {
  double parking = 0;   // of the road's own width: where cars park
  double planting = 0;  // grass with trees between kerb and sidewalk
  double sidewalk = 0;
  double setback = 0;  // of a typical building from the sidewalk
};

// What a street looks like across.
struct StreetLayout {
  StreetCurve curve;
  int lanes;          // 2 to 4
  int lanes_forward;  // the rightmost ones; the others lead the other way
  int ego_lane;       // counted from the right
  double lane_width;  // m
  double camber;      // fall of the road per metre from its middle
  double half_width;  // m, from the middle of the road to either kerb
  bool is_urban;      // tall houses close to the street, or low ones with gardens
  RoadSide right, left;
  std::optional<double> crossing;  // s of a pedestrian crossing

  // Middle of a lane and its right boundary (index `lanes` is the left boundary of the last): d in metres.
  double LaneCentre(int lane) const { return LaneBoundary(lane) + 0.5 * lane_width; }
  double LaneBoundary(int index) const { return -half_width + right.parking + index * lane_width; }
  bool IsForward(int lane) const { return lane < lanes_forward; }
  // side -1: right; +1: left.
  const RoadSide& Side(int side) const { return side < 0 ? right : left; }
  // Whether something within `length` metres of s would stand in the way of the crossing.
  bool IsAtCrossing(double s, double length) const {
    return crossing.has_value() && s > *crossing - length && s < *crossing + length;
  }
  // Distance from the middle of the road to the outer edge of the sidewalk.
  double SidewalkEdge(int side) const { return half_width + kKerbWidth + Side(side).planting + Side(side).sidewalk; }
  // Height of the road and of the ground beside it in the street frame.
  double RoadHeight(double d) const { return -camber * (d < 0 ? -d : d); }
  double GroundHeight() const { return RoadHeight(half_width) + kKerbHeight; }
  // A point at (s, d), `z` metres above the street frame's plane.
  Eigen::Vector3d Point(double s, double d, double z) const {
    const Eigen::Vector2d p = curve.At(s, d);
    return Eigen::Vector3d(p.x(), p.y(), z);
  }
  // A frame at that point, x along the street (turned by `yaw`), z up.
  Eigen::Isometry3d Frame(double s, double d, double z, double yaw = 0) const;

  static constexpr double kKerbHeight = 0.15;
  static constexpr double kKerbWidth = 0.2;
};

// Draws a street; `driven` is how far the ego vehicle will go. The street reaches 40 m beyond the drive
// at both ends.
StreetLayout MakeStreetLayout(RandomStream random, double driven);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_STREET_LAYOUT_H_
