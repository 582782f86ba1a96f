// Built with -ffp-contract=off: a fused multiply-add would move points that lie exactly between two voxels.
#include "kernels/voxel_grid/grid_transform.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr int64_t kPointsPerBlock = 1 << 14;

}  // namespace

FloatTransform::FloatTransform(const GridTransform& transform) {
  for (int axis = 0; axis < 3; ++axis) {
    scale[axis] = static_cast<float>(1.0 / transform.voxel_size[axis]);
    shift[axis] = static_cast<float>(-transform.origin[axis] / transform.voxel_size[axis]);
  }
}

GridTransform GridTransform::Coarsened(const std::array<int, 3>& factor) const {
  GridTransform coarse;
  for (int axis = 0; axis < 3; ++axis) {
    coarse.voxel_size[axis] = factor[axis] * voxel_size[axis];
    coarse.origin[axis] = origin[axis] + (factor[axis] - 1) * voxel_size[axis] / 2;
  }
  return coarse;
}

GridTransform GridTransform::Subdivided(const std::array<int, 3>& factor) const {
  GridTransform fine;
  for (int axis = 0; axis < 3; ++axis) {
    fine.voxel_size[axis] = voxel_size[axis] / factor[axis];
    fine.origin[axis] = origin[axis] - (factor[axis] - 1) * fine.voxel_size[axis] / 2;
  }
  return fine;
}

bool operator==(const GridTransform& a, const GridTransform& b) {
  return a.voxel_size == b.voxel_size && a.origin == b.origin;
}

absl::Status CheckTransform(const GridTransform& transform) {
  for (int axis = 0; axis < 3; ++axis) {
    const double size = transform.voxel_size[axis];
    const double origin = transform.origin[axis];
    if (!std::isfinite(size) || size <= 0 || !std::isfinite(origin)) {
      return DataError(absl::StrCat("voxel grid: axis ", axis, " has voxel size ", size, " and origin ", origin,
                                    "; sizes must be finite and positive, origins finite"));
    }
  }
  return absl::OkStatus();
}

absl::Status VoxelsOfPoints(View<const float, 2> points, const GridTransform& transform, TieRounding rounding,
                            View<int32_t, 2> ijk) {
  RETURN_IF_ERROR(CheckTransform(transform));
  const FloatTransform to_grid(transform);
  const int64_t count = points.shape[0];
  std::atomic<int64_t> first_bad{count};
  ParallelFor(count, kPointsPerBlock, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int axis = 0; axis < 3; ++axis) {
        const float g = points(row, axis) * to_grid.scale[axis] + to_grid.shift[axis];
        // nearbyint rounds half to even: nobody here changes the rounding mode.
        const float rounded = rounding == TieRounding::kHalfUp ? std::floor(g + 0.5f) : std::nearbyint(g);
        if (!(std::fabs(rounded) <= static_cast<float>(kMaxCoordinate))) {
          int64_t seen = first_bad.load();
          while (row < seen && !first_bad.compare_exchange_weak(seen, row)) {
          }
          return;
        }
        ijk(row, axis) = static_cast<int32_t>(rounded);
      }
    }
  });
  if (const int64_t row = first_bad.load(); row < count) {
    return DataError(absl::StrCat("points: row ", row, " is (", points(row, 0), ", ", points(row, 1), ", ",
                                  points(row, 2), "), which is not finite or more than ", kMaxCoordinate,
                                  " voxels from the grid's origin"));
  }
  return absl::OkStatus();
}

void PointsInVoxelUnits(View<const float, 2> points, const GridTransform& transform, View<float, 2> g) {
  const FloatTransform to_grid(transform);
  ParallelFor(points.shape[0], kPointsPerBlock, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int axis = 0; axis < 3; ++axis) {
        g(row, axis) = points(row, axis) * to_grid.scale[axis] + to_grid.shift[axis];
      }
    }
  });
}

}  // namespace cubist
