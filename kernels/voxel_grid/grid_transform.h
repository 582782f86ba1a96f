// Where the voxels of a grid lie in the world, and which voxel a point falls into.
#ifndef CUBIST_KERNELS_VOXEL_GRID_GRID_TRANSFORM_H_
#define CUBIST_KERNELS_VOXEL_GRID_GRID_TRANSFORM_H_

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "base/view.h"

namespace cubist {

// Voxel (i, j, k) has its centre at ijk * voxel_size + origin, in metres, and reaches half a voxel to each side.
struct GridTransform {
  std::array<double, 3> voxel_size = {1.0, 1.0, 1.0};
  std::array<double, 3> origin = {0.0, 0.0, 0.0};

  // Of the grid whose voxels are blocks of `factor` voxels of this one: size f*w, origin o + (f-1)*w/2.
  GridTransform Coarsened(const std::array<int, 3>& factor) const;
  // Of the grid whose voxels are this one's cut into `factor` parts; the inverse of Coarsened().
  GridTransform Subdivided(const std::array<int, 3>& factor) const;
};

bool operator==(const GridTransform& a, const GridTransform& b);
inline bool operator!=(const GridTransform& a, const GridTransform& b) { return !(a == b); }

// DataError unless every voxel size is finite and positive and every origin is finite.
absl::Status CheckTransform(const GridTransform& transform);

// Grids hold voxels with |coordinate| <= kMaxCoordinate, so that neighbours never leave int32.
inline constexpr int32_t kMaxCoordinate = 1 << 30;

// What happens to a point exactly between two voxels. Grids are built with kHalfUp, as fVDB does; the reference's class
// vote looks its voxels up with kHalfToEven, so that the two disagree on such points.
enum class TieRounding { kHalfUp, kHalfToEven };

// The voxel that each point lies in: floor(g + 0.5) or round-half-to-even(g) with g = x * float(1/w) + float(-o/w), all
// in float without fused multiply-add (fVDB 0.2.0, VoxelCoordTransform).
//   points: float32 [M, 3], metres.  ijk: int32 [M, 3], written.
// DataError naming the first row that is not finite or falls beyond kMaxCoordinate.
absl::Status VoxelsOfPoints(View<const float, 2> points, const GridTransform& transform, TieRounding rounding,
                            View<int32_t, 2> ijk);

// The map to voxel units, g above, as kernels take it.
struct FloatTransform {
  explicit FloatTransform(const GridTransform& transform);
  float scale[3];
  float shift[3];
};

// The points in voxel units, g above. points, g: float32 [M, 3].
void PointsInVoxelUnits(View<const float, 2> points, const GridTransform& transform, View<float, 2> g);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_GRID_TRANSFORM_H_
