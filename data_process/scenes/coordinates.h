// Frames of reference and the way between them. Everything is double: world coordinates are tens of
// kilometres, where float32 resolves only millimetres, so only points relative to a camera become float.
//
// A pose acts on column vectors: p_world = pose * p. OpenCV camera axes are x right, y down, z forward;
// FLU axes are x forward, y left, z up.
#ifndef CUBIST_DATA_PROCESS_SCENES_COORDINATES_H_
#define CUBIST_DATA_PROCESS_SCENES_COORDINATES_H_

#include <array>
#include <cmath>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

using Vector3 = std::array<double, 3>;
// Row-major; element (row, column) is [row * 4 + column].
using Matrix4 = std::array<double, 16>;

Matrix4 IdentityMatrix();
// a * b: b applies first.
Matrix4 Multiply(const Matrix4& a, const Matrix4& b);
// The inverse of a transform whose last row is (0, 0, 0, 1): exact for rotations and for any other
// invertible upper-left 3x3, so that a pose's rounding does not turn into a shear.
Matrix4 InverseTransform(const Matrix4& transform);
inline Vector3 Apply(const Matrix4& transform, const Vector3& point) {
  Vector3 result;
  for (int row = 0; row < 3; ++row) {
    const double* r = &transform[row * 4];
    result[row] = r[0] * point[0] + r[1] * point[1] + r[2] * point[2] + r[3];
  }
  return result;
}

// Columns (c0, c1, c2, t) of a camera-to-world pose become (c2, -c0, -c1, t); and back, (-c1, -c2, c0, t).
Matrix4 OpenCvToFlu(const Matrix4& camera_to_world);
Matrix4 FluToOpenCv(const Matrix4& camera_to_world);

// The middle of the box [crop_min, crop_max], seen from a camera: FLU metres.
Vector3 CropCentre(const Vector3& crop_min, const Vector3& crop_max);
Vector3 CropHalfExtent(const Vector3& crop_min, const Vector3& crop_max);

// The pose of the grid frame in the world: the camera's FLU axes, with the origin at the crop box's
// centre plus `world_shift` (metres along the world's axes: the augmentation). `camera_to_world` is
// an OpenCV pose.
Matrix4 GridToWorld(const Matrix4& camera_to_world, const Vector3& crop_centre, const Vector3& world_shift);

// Whether a float point lies strictly inside -half_extent to +half_extent, both rounded to float.
inline bool StrictlyInside(const std::array<float, 3>& point, const Vector3& half_extent) {
  for (int axis = 0; axis < 3; ++axis) {
    if (!(std::fabs(point[axis]) < static_cast<float>(half_extent[axis]))) return false;  // also false for NaN
  }
  return true;
}

// transform * point in double, rounded once.
inline std::array<float, 3> ApplyToFloat(const Matrix4& transform, const Vector3& point) {
  const Vector3 result = Apply(transform, point);
  return {static_cast<float>(result[0]), static_cast<float>(result[1]), static_cast<float>(result[2])};
}

// A float32 or float64 [4,4] array as a matrix. DataError, with `what` in front, when dtype or shape differ,
// a value is not finite, or the last row is not (0, 0, 0, 1).
absl::StatusOr<Matrix4> MatrixFrom(const HostTensor& tensor, std::string_view what);
// As above, and the upper-left 3x3 must be a rotation (to 1e-3, right-handed).
absl::StatusOr<Matrix4> PoseFrom(const HostTensor& tensor, std::string_view what);
// DataError, with `what` in front, unless the upper-left 3x3 is a rotation (to 1e-3, right-handed) and
// all is finite.
absl::Status CheckPose(const Matrix4& pose, std::string_view what);

// float64 [4,4].
HostTensor ToTensor(const Matrix4& matrix);
// float64 [3].
HostTensor ToTensor(const Vector3& vector);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_COORDINATES_H_
