#include "data_process/synthesis/street_layout.h"

#include <algorithm>
#include <cmath>

namespace cubist {
namespace {

using Eigen::Vector2d;

constexpr double kPi = 3.14159265358979323846;
// No street bends more tightly than this, so that what stands beside it never overlaps itself.
constexpr double kSmallestRadius = 160;
constexpr double kBeyondTheDrive = 40;

}  // namespace

StreetCurve::StreetCurve(double amplitude, double wavelength, double phase, double s_min, double s_max)
    : amplitude_(amplitude),
      frequency_(2 * kPi / wavelength),
      phase_(phase),
      s_min_(s_min),
      s_max_(s_max),
      first_(std::floor(s_min)) {
  const int metres = static_cast<int>(std::ceil(s_max) - first_);
  points_.assign(1, Vector2d(0, 0));
  const auto direction = [this](double s) { return Vector2d(std::cos(Heading(s)), std::sin(Heading(s))); };
  for (int k = 0; k < metres; ++k) {
    // Simpson's rule over one metre.
    const double s = first_ + k;
    points_.push_back(points_.back() + (direction(s) + 4 * direction(s + 0.5) + direction(s + 1)) / 6);
  }
  const Vector2d start = points_[static_cast<size_t>(-first_)];
  for (Vector2d& point : points_) point -= start;
}

double StreetCurve::Heading(double s) const {
  const double clamped = std::clamp(s, first_, first_ + std::max<double>(1, std::ceil(s_max_) - first_));
  return amplitude_ * (std::sin(frequency_ * clamped + phase_) - std::sin(phase_));
}

Vector2d StreetCurve::At(double s, double d) const {
  const double last = static_cast<double>(points_.size()) - 1;
  const double offset = s - first_;
  const double heading = Heading(s);
  const Vector2d normal(-std::sin(heading), std::cos(heading));
  const Vector2d along(std::cos(heading), std::sin(heading));
  if (offset <= 0) return points_.front() + offset * along + d * normal;
  if (offset >= last) return points_.back() + (offset - last) * along + d * normal;
  // Cubic Hermite interpolation between two metres, with the line's own directions as tangents.
  const int k = std::min(static_cast<int>(offset), static_cast<int>(last) - 1);
  const double t = offset - k, h0 = Heading(first_ + k), h1 = Heading(first_ + k + 1);
  const Vector2d d0(std::cos(h0), std::sin(h0)), d1(std::cos(h1), std::sin(h1));
  const double t2 = t * t, t3 = t2 * t;
  return (2 * t3 - 3 * t2 + 1) * points_[k] + (t3 - 2 * t2 + t) * d0 + (3 * t2 - 2 * t3) * points_[k + 1] +
         (t3 - t2) * d1 + d * normal;
}

Vector2d StreetCurve::Project(const Vector2d& point, double s_guess) const {
  double s = s_guess, d = 0;
  for (int step = 0; step < 8; ++step) {
    const double heading = Heading(s);
    const Vector2d away = point - At(s, 0);
    d = -std::sin(heading) * away.x() + std::cos(heading) * away.y();
    const double along = std::cos(heading) * away.x() + std::sin(heading) * away.y();
    const double curvature = amplitude_ * frequency_ * std::cos(frequency_ * s + phase_);
    s += along / (1 - curvature * d);
    if (std::abs(along) < 1e-10) break;
  }
  return Vector2d(s, d);
}

Eigen::Isometry3d StreetLayout::Frame(double s, double d, double z, double yaw) const {
  Eigen::Isometry3d frame = Eigen::Isometry3d::Identity();
  frame.linear() = Eigen::AngleAxisd(curve.Heading(s) + yaw, Eigen::Vector3d::UnitZ()).toRotationMatrix();
  frame.translation() = Point(s, d, z);
  return frame;
}

StreetLayout MakeStreetLayout(RandomStream random, double driven) {
  const bool is_straight = random.Chance(0.25);
  const double wavelength = random.Uniform(200, 700);
  const double largest = std::min(0.6, wavelength / (2 * kPi * kSmallestRadius));
  const double amplitude = is_straight ? 0 : largest * random.Uniform(0.4, 1);
  StreetLayout layout = {
      StreetCurve(amplitude, wavelength, random.Uniform(0, 2 * kPi), -kBeyondTheDrive, driven + kBeyondTheDrive),
      0,
      0,
      0,
      0,
      0,
      0,
      false,
      {},
      {},
      {}};
  layout.lanes = 2 + random.Integer(3);
  layout.lanes_forward = layout.lanes == 3 ? 2 + random.Integer(2) : layout.lanes / 2;
  layout.ego_lane = random.Integer(layout.lanes_forward);
  layout.lane_width = random.Uniform(3.2, 3.7);
  layout.camber = random.Uniform(0.005, 0.02);
  layout.is_urban = random.Chance(0.5);
  for (RoadSide* side : {&layout.right, &layout.left}) {
    // Cars park on the right in every street.
    side->parking = side == &layout.right || random.Chance(0.7) ? 2.3 : 0;
    side->planting = random.Chance(layout.is_urban ? 0.25 : 0.6) ? random.Uniform(1.0, 2.0) : 0;
    side->sidewalk = random.Uniform(1.8, layout.is_urban ? 4.0 : 2.6);
    side->setback = layout.is_urban ? random.Uniform(0.6, 2.0) : random.Uniform(3.5, 7.5);
  }
  layout.half_width = 0.5 * (layout.lanes * layout.lane_width + layout.right.parking + layout.left.parking);
  if (random.Chance(0.5)) layout.crossing = 10 + driven * random.Uniform(0.3, 0.9);
  return layout;
}

}  // namespace cubist
