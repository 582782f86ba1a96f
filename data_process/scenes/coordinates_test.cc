#include "data_process/scenes/coordinates.h"

#include <cmath>
#include <limits>
#include <vector>

#include "Eigen/Dense"
#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using EigenMatrix = Eigen::Matrix<double, 4, 4, Eigen::RowMajor>;

EigenMatrix ToEigen(const Matrix4& matrix) { return Eigen::Map<const EigenMatrix>(matrix.data()); }

Matrix4 FromEigen(const EigenMatrix& matrix) {
  Matrix4 result;
  Eigen::Map<EigenMatrix>(result.data()) = matrix;
  return result;
}

// A camera far from the world's origin, turned about all axes.
Matrix4 FarPose() {
  EigenMatrix pose = EigenMatrix::Identity();
  pose.topLeftCorner<3, 3>() =
      (Eigen::AngleAxisd(0.7, Eigen::Vector3d::UnitZ()) * Eigen::AngleAxisd(-0.2, Eigen::Vector3d::UnitY()) *
       Eigen::AngleAxisd(1.1, Eigen::Vector3d::UnitX()))
          .toRotationMatrix();
  pose.topRightCorner<3, 1>() = Eigen::Vector3d(20000, -15000, 30);
  return FromEigen(pose);
}

TEST(Coordinates, ProductAndInverseAgreeWithEigen) {
  const Matrix4 pose = FarPose();
  EigenMatrix sheared = ToEigen(pose);
  sheared(0, 1) += 0.3;
  sheared(2, 2) *= 1.5;
  for (const EigenMatrix& matrix : {ToEigen(pose), sheared}) {
    const EigenMatrix inverse = ToEigen(InverseTransform(FromEigen(matrix)));
    EXPECT_LT((inverse - matrix.inverse()).cwiseAbs().maxCoeff(), 1e-9 * 20000);
    EXPECT_LT((ToEigen(Multiply(FromEigen(inverse), FromEigen(matrix))) - EigenMatrix::Identity()).norm(), 1e-10);
    EXPECT_LT((ToEigen(Multiply(FromEigen(matrix), pose)) - matrix * ToEigen(pose)).cwiseAbs().maxCoeff(), 1e-9);
  }
  const Vector3 applied = Apply(pose, {1, 2, 3});
  const Eigen::Vector4d expected = ToEigen(pose) * Eigen::Vector4d(1, 2, 3, 1);
  for (int axis = 0; axis < 3; ++axis) EXPECT_DOUBLE_EQ(applied[axis], expected[axis]);
}

TEST(Coordinates, OpenCvAndFluAreInverseOfEachOther) {
  const Matrix4 pose = FarPose();
  EXPECT_EQ(FluToOpenCv(OpenCvToFlu(pose)), pose);
  EXPECT_EQ(OpenCvToFlu(FluToOpenCv(pose)), pose);
  // A point 5 m ahead, 1 m to the right and 2 m below: (1, 2, 5) in OpenCV axes, (5, -1, -2) in FLU axes.
  const Vector3 by_opencv = Apply(pose, {1, 2, 5}), by_flu = Apply(OpenCvToFlu(pose), {5, -1, -2});
  for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(by_opencv[axis], by_flu[axis], 1e-11 * 20000);
}

TEST(Coordinates, GridCentresOfTheRecipes) {
  struct {
    Vector3 low, high, centre, half;
  } const cases[] = {{{-25.6, -25.6, -6.4}, {25.6, 25.6, 19.2}, {0, 0, 6.4}, {25.6, 25.6, 12.8}},
                     {{0, -40, -12.8}, {153.6, 40, 38.4}, {76.8, 0, 12.8}, {76.8, 40, 25.6}}};
  for (const auto& c : cases) {
    // A camera whose FLU axes are the world's.
    const Matrix4 grid = GridToWorld(FluToOpenCv(IdentityMatrix()), CropCentre(c.low, c.high), {0, 0, 0});
    const Vector3 half = CropHalfExtent(c.low, c.high);
    for (int axis = 0; axis < 3; ++axis) {
      EXPECT_NEAR(grid[axis * 4 + 3], c.centre[axis], 1e-12);
      EXPECT_NEAR(half[axis], c.half[axis], 1e-12);
      for (int column = 0; column < 3; ++column) EXPECT_EQ(grid[axis * 4 + column], axis == column ? 1 : 0);
    }
  }
}

TEST(Coordinates, GridFollowsTheCameraAndShiftsAlongTheWorldsAxes) {
  const Matrix4 camera = FarPose();
  const Vector3 shift = {1.5, -0.25, 0.125};
  const Matrix4 grid = GridToWorld(camera, {10, -3, 6.4}, shift);
  const EigenMatrix pose = ToEigen(camera);
  const Eigen::Vector3d forward = pose.block<3, 1>(0, 2), left = -pose.block<3, 1>(0, 0), up = -pose.block<3, 1>(0, 1);
  const Eigen::Vector3d origin =
      pose.block<3, 1>(0, 3) + 10 * forward - 3 * left + 6.4 * up + Eigen::Vector3d(shift[0], shift[1], shift[2]);
  EXPECT_LT((ToEigen(grid).block<3, 1>(0, 3) - origin).norm(), 1e-10);
  EXPECT_EQ((Eigen::Vector3d(ToEigen(grid).block<3, 1>(0, 0))), forward);
  EXPECT_EQ((Eigen::Vector3d(ToEigen(grid).block<3, 1>(0, 1))), left);
  EXPECT_EQ((Eigen::Vector3d(ToEigen(grid).block<3, 1>(0, 2))), up);
}

TEST(Coordinates, TheBoxExcludesItsSurface) {
  const Vector3 half = {25.6, 25.6, 12.8};
  const float below = std::nextafter(25.6f, 0.0f);
  EXPECT_TRUE(StrictlyInside({below, -below, std::nextafter(12.8f, 0.0f)}, half));
  EXPECT_FALSE(StrictlyInside({25.6f, 0, 0}, half));
  EXPECT_FALSE(StrictlyInside({0, -25.6f, 0}, half));
  EXPECT_FALSE(StrictlyInside({0, 0, 12.8f}, half));
  EXPECT_FALSE(StrictlyInside({0, std::numeric_limits<float>::quiet_NaN(), 0}, half));
}

TEST(Coordinates, MatricesFromArrays) {
  const Matrix4 pose = FarPose();
  const auto read = PoseFrom(ToTensor(pose), "a pose");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, pose);
  ASSERT_TRUE(PoseFrom(ToTensor(pose).Cast(DType::kFloat32), "a pose").ok());

  Matrix4 mirrored = pose, scaled = pose, tilted = pose, not_finite = pose;
  for (int row = 0; row < 3; ++row) mirrored[row * 4] *= -1;
  for (int row = 0; row < 3; ++row) scaled[row * 4 + 1] *= 1.01;
  tilted[12] = 0.5;
  not_finite[3] = std::numeric_limits<double>::infinity();
  for (const Matrix4& bad : {mirrored, scaled, tilted, not_finite}) {
    const auto result = PoseFrom(ToTensor(bad), "pose.tar: member 'x'");
    EXPECT_EQ(ExitCodeOf(result.status()), ExitCode::kData);
    EXPECT_NE(result.status().message().find("pose.tar: member 'x'"), std::string::npos);
  }
  EXPECT_TRUE(MatrixFrom(ToTensor(scaled), "m").ok());
  EXPECT_FALSE(MatrixFrom(HostTensor(DType::kFloat64, {3, 4}), "m").ok());
  EXPECT_FALSE(MatrixFrom(HostTensor::Of(std::vector<int64_t>(16, 1), {4, 4}), "m").ok());
}

}  // namespace
}  // namespace cubist
