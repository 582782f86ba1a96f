#include "data_process/scenes/coordinates.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/status.h"

namespace cubist {
namespace {

// How far the columns of a pose may be from orthonormal: far above the rounding of a float32 rotation, far
// below what a scaled, sheared or mirrored matrix shows.
constexpr double kRotationTolerance = 1e-3;

Vector3 Column(const Matrix4& matrix, int column) { return {matrix[column], matrix[4 + column], matrix[8 + column]}; }

Matrix4 FromColumns(const Vector3& c0, const Vector3& c1, const Vector3& c2, const Vector3& translation) {
  Matrix4 matrix = IdentityMatrix();
  for (int row = 0; row < 3; ++row) {
    matrix[row * 4] = c0[row];
    matrix[row * 4 + 1] = c1[row];
    matrix[row * 4 + 2] = c2[row];
    matrix[row * 4 + 3] = translation[row];
  }
  return matrix;
}

Vector3 Negative(const Vector3& v) { return {-v[0], -v[1], -v[2]}; }

double Dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector3 Cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

}  // namespace

Matrix4 IdentityMatrix() { return {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}; }

Matrix4 Multiply(const Matrix4& a, const Matrix4& b) {
  Matrix4 product{};
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 4; ++column) {
      for (int k = 0; k < 4; ++k) product[row * 4 + column] += a[row * 4 + k] * b[k * 4 + column];
    }
  }
  return product;
}

Matrix4 InverseTransform(const Matrix4& transform) {
  const Vector3 c0 = Column(transform, 0), c1 = Column(transform, 1), c2 = Column(transform, 2);
  // The rows of the inverse of (c0 c1 c2) are cross products of its columns over its determinant.
  const Vector3 rows[3] = {Cross(c1, c2), Cross(c2, c0), Cross(c0, c1)};
  const double determinant = Dot(c0, rows[0]);
  const Vector3 translation = Column(transform, 3);
  Matrix4 inverse = IdentityMatrix();
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) inverse[row * 4 + column] = rows[row][column] / determinant;
    inverse[row * 4 + 3] = -Dot(rows[row], translation) / determinant;
  }
  return inverse;
}

Matrix4 OpenCvToFlu(const Matrix4& pose) {
  return FromColumns(Column(pose, 2), Negative(Column(pose, 0)), Negative(Column(pose, 1)), Column(pose, 3));
}

Matrix4 FluToOpenCv(const Matrix4& pose) {
  return FromColumns(Negative(Column(pose, 1)), Negative(Column(pose, 2)), Column(pose, 0), Column(pose, 3));
}

Vector3 CropCentre(const Vector3& crop_min, const Vector3& crop_max) {
  return {(crop_min[0] + crop_max[0]) / 2, (crop_min[1] + crop_max[1]) / 2, (crop_min[2] + crop_max[2]) / 2};
}

Vector3 CropHalfExtent(const Vector3& crop_min, const Vector3& crop_max) {
  return {(crop_max[0] - crop_min[0]) / 2, (crop_max[1] - crop_min[1]) / 2, (crop_max[2] - crop_min[2]) / 2};
}

Matrix4 GridToWorld(const Matrix4& camera_to_world, const Vector3& crop_centre, const Vector3& world_shift) {
  Matrix4 grid = OpenCvToFlu(camera_to_world);
  const Vector3 origin = Apply(grid, crop_centre);
  for (int row = 0; row < 3; ++row) grid[row * 4 + 3] = origin[row] + world_shift[row];
  return grid;
}

absl::StatusOr<Matrix4> MatrixFrom(const HostTensor& tensor, std::string_view what) {
  const bool is_float = tensor.dtype() == DType::kFloat32 || tensor.dtype() == DType::kFloat64;
  if (!is_float || tensor.shape() != std::vector<int64_t>{4, 4}) {
    return DataError(std::string(what) + ": expected float64[4,4] or float32[4,4], found " + tensor.Describe());
  }
  const HostTensor values = tensor.Cast(DType::kFloat64);
  Matrix4 matrix;
  for (int i = 0; i < 16; ++i) matrix[i] = values.data<double>()[i];
  for (double value : matrix) {
    if (!std::isfinite(value)) return DataError(std::string(what) + ": a value of the matrix is not finite");
  }
  if (matrix[12] != 0 || matrix[13] != 0 || matrix[14] != 0 || matrix[15] != 1) {
    return DataError(std::string(what) + ": the last row of the matrix is not (0, 0, 0, 1)");
  }
  return matrix;
}

absl::Status CheckPose(const Matrix4& pose, std::string_view what) {
  for (double value : pose) {
    if (!std::isfinite(value)) return DataError(std::string(what) + ": a value of the pose is not finite");
  }
  double worst = 0;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) {
      worst = std::max(worst, std::fabs(Dot(Column(pose, a), Column(pose, b)) - (a == b ? 1 : 0)));
    }
  }
  const bool mirrored = Dot(Cross(Column(pose, 0), Column(pose, 1)), Column(pose, 2)) < 0;
  if (worst > kRotationTolerance || mirrored) {
    return DataError(std::string(what) + ": the upper left 3x3 of the pose is not a rotation (" +
                     (mirrored ? "it mirrors" : "R^T R differs from the identity by " + std::to_string(worst)) + ")");
  }
  return absl::OkStatus();
}

absl::StatusOr<Matrix4> PoseFrom(const HostTensor& tensor, std::string_view what) {
  ASSIGN_OR_RETURN(const Matrix4 pose, MatrixFrom(tensor, what));
  RETURN_IF_ERROR(CheckPose(pose, what));
  return pose;
}

HostTensor ToTensor(const Matrix4& matrix) {
  return HostTensor::Of(std::vector<double>(matrix.begin(), matrix.end()), {4, 4});
}

HostTensor ToTensor(const Vector3& vector) {
  return HostTensor::Of(std::vector<double>(vector.begin(), vector.end()), {3});
}

}  // namespace cubist
