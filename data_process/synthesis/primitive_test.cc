#include "data_process/synthesis/primitive.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace cubist {
namespace {

using Eigen::Isometry3d;
using Eigen::Vector3d;

constexpr double kPi = 3.14159265358979323846;
// Length of the largest noise vector: 1 cm along each axis.
constexpr double kNoise = 0.0174;

std::vector<Vector3d> Sample(const Primitive& primitive, double spacing) {
  RandomStream random(7, 3, SceneStream::kSampling);
  std::vector<Vector3d> points;
  AppendPoints(primitive, spacing, random, points);
  return points;
}

Isometry3d Tilted() {
  Isometry3d pose = Isometry3d::Identity();
  pose.linear() = Eigen::AngleAxisd(0.8, Vector3d(1, 2, 3).normalized()).toRotationMatrix();
  pose.translation() = Vector3d(5, -6, 7);
  return pose;
}

// The distance from each place in a grid over [0,1]^2 to the nearest point in the (u, v) of that surface.
void ExpectNoHoles(const std::vector<Vector3d>& points, const std::function<Vector3d(double, double)>& surface,
                   double largest) {
  for (double u = 0; u <= 1; u += 0.05) {
    for (double v = 0; v <= 1; v += 0.05) {
      double nearest = 1e9;
      for (const Vector3d& point : points) nearest = std::min(nearest, (point - surface(u, v)).norm());
      EXPECT_LT(nearest, largest) << u << ", " << v;
    }
  }
}

TEST(PrimitiveTest, PatchIsCoveredEvenlyAndInItsPlane) {
  const Vector3d origin(1, 2, 3), a(2.0, 0.5, 0.1), b(-0.3, 1.5, 0.4);
  const Primitive patch = {Patch{{origin, origin + a, origin + a + b, origin + b}}, SemanticClass::kRoad};
  EXPECT_NEAR(SeenArea(patch), a.cross(b).norm(), 1e-12);
  const std::vector<Vector3d> points = Sample(patch, 0.1);
  // |a| = 2.06 m and |b| = 1.58 m: 21 and 16 cells.
  EXPECT_EQ(points.size(), 21u * 16u);
  const Vector3d normal = a.cross(b).normalized();
  for (const Vector3d& point : points) EXPECT_LT(std::abs(normal.dot(point - origin)), kNoise);
  // Half a diagonal of a cell, the jitter on both sides of it and the noise.
  ExpectNoHoles(
      points, [&](double u, double v) { return Vector3d(origin + u * a + v * b); }, 0.14);
}

TEST(PrimitiveTest, OnlySeenFacesOfABoxGetPoints) {
  const Isometry3d pose = Tilted();
  const Vector3d size(2, 3, 4);
  const Primitive box = {Box{pose, size, {true, false, false, true, false, false}}, SemanticClass::kBuilding};
  EXPECT_NEAR(SeenArea(box), 3 * 4 + 2 * 4, 1e-9);
  int left = 0, back = 0;
  for (const Vector3d& point : Sample(box, 0.2)) {
    const Vector3d local = pose.inverse() * point;
    const bool on_left = std::abs(local.x() + 1) < kNoise, on_back = std::abs(local.y() - 1.5) < kNoise;
    EXPECT_TRUE(on_left || on_back) << local.transpose();
    for (int axis = 0; axis < 3; ++axis) EXPECT_LT(std::abs(local[axis]), size[axis] / 2 + kNoise);
    left += on_left;
    back += on_back;
  }
  EXPECT_GE(left, 15 * 20);
  EXPECT_GE(back, 10 * 20);
}

TEST(PrimitiveTest, CylinderPointsLieOnTheTube) {
  const Vector3d base(1, 2, 3), axis(0.3, -0.4, 2);
  const Primitive tube = {Cylinder{base, axis, 0.5}, SemanticClass::kPole};
  EXPECT_NEAR(SeenArea(tube), kPi * axis.norm(), 1e-9);
  const std::vector<Vector3d> points = Sample(tube, 0.05);
  EXPECT_NEAR(static_cast<double>(points.size()), SeenArea(tube) / 0.0025, 0.03 * SeenArea(tube) / 0.0025);
  const Vector3d along = axis.normalized();
  for (const Vector3d& point : points) {
    const double up = along.dot(point - base);
    EXPECT_GT(up, -kNoise);
    EXPECT_LT(up, axis.norm() + kNoise);
    EXPECT_NEAR((point - base - up * along).norm(), 0.5, kNoise);
  }
}

TEST(PrimitiveTest, EllipsoidPointsLieOnItOrWithinItsLeaves) {
  const Vector3d centre(1, 2, 3), radii(2, 1.5, 3);
  const auto level = [&](const Vector3d& point) { return (point - centre).cwiseQuotient(radii).norm(); };
  const Primitive smooth = {Ellipsoid{centre, radii, 0}, SemanticClass::kPedestrian};
  for (const Vector3d& point : Sample(smooth, 0.2)) EXPECT_NEAR(level(point), 1, kNoise / 1.5);
  const Primitive leaves = {Ellipsoid{centre, radii, 0.25}, SemanticClass::kVegetation};
  int inner = 0, count = 0;
  for (const Vector3d& point : Sample(leaves, 0.2)) {
    EXPECT_GT(level(point), 0.75 - kNoise);
    EXPECT_LT(level(point), 1 + kNoise);
    inner += level(point) < 0.875;
    ++count;
  }
  EXPECT_NEAR(inner, count / 2, count / 10);
  // A ball of radius 1 has 4 pi m^2.
  EXPECT_NEAR(SeenArea({Ellipsoid{centre, Vector3d(1, 1, 1), 0}, SemanticClass::kSign}), 4 * kPi, 1e-9);
}

TEST(PrimitiveTest, MeshPointsAreEvenOverTrianglesOfAnySizeAndNoneLieBelow) {
  // A slab 4 x 1: its top in one large and two small triangles, its bottom in two.
  auto mesh = std::make_shared<TriangleMesh>();
  mesh->vertices =
      HostTensor::Of<float>({0, 0, 1, 4, 0, 1, 4, 1, 1, 0, 1, 1, 2, 1, 1, 0, 0, 0, 4, 0, 0, 4, 1, 0}, {8, 3});
  mesh->faces = HostTensor::Of<int32_t>({0, 1, 4, 1, 2, 4, 0, 4, 3, 5, 7, 6}, {4, 3});
  const Isometry3d pose = Tilted();
  const Primitive slab = {MeshInstance{mesh, Vector3d(1, 2, 3), pose}, SemanticClass::kCar};
  EXPECT_NEAR(SeenArea(slab), 4 * 2, 1e-9);
  const std::vector<Vector3d> points = Sample(slab, 0.1);
  EXPECT_NEAR(static_cast<double>(points.size()), 800, 2);
  std::array<int, 8> in_cell = {};
  for (const Vector3d& point : points) {
    const Vector3d local = pose.inverse() * point;
    EXPECT_NEAR(local.z(), 3, kNoise) << "a point below the slab";
    ++in_cell[std::min(3, std::max(0, static_cast<int>(local.x()))) * 2 + (local.y() > 1)];
  }
  for (const int count : in_cell) EXPECT_NEAR(count, 100, 35);
}

TEST(PrimitiveTest, WhatIsNotSeenGetsNoPoints) {
  const Primitive hidden = {Box{Tilted(), Vector3d(1, 1, 1), {}}, SemanticClass::kBuilding, false, false};
  EXPECT_EQ(SeenArea(hidden), 0);
  EXPECT_TRUE(Sample(hidden, 0.1).empty());
}

TEST(RandomStreamTest, StreamsDifferAndRepeat) {
  RandomStream a(1, 2, SceneStream::kTrees), same(1, 2, SceneStream::kTrees), part(1, 2, SceneStream::kTrees, 1);
  RandomStream other_clip(1, 3, SceneStream::kTrees), other_seed(2, 2, SceneStream::kTrees);
  const uint64_t first = a.Bits();
  EXPECT_EQ(first, same.Bits());
  EXPECT_NE(first, a.Bits());
  EXPECT_NE(first, part.Bits());
  EXPECT_NE(first, other_clip.Bits());
  EXPECT_NE(first, other_seed.Bits());
}

}  // namespace
}  // namespace cubist
