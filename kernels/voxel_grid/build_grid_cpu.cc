#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/voxel_grid/build_grid.h"
#include "kernels/voxel_grid/leaf_builder.h"
#include "kernels/voxel_grid/sample_blocks.h"

namespace cubist {
namespace {

constexpr int64_t kRowsPerBlock = 1 << 14;

// The first coordinate and the last, of rows [begin, end).
struct Bounds {
  std::array<int32_t, 3> first, last;
};
Bounds BoundsOf(View<const int32_t, 2> ijk, int64_t begin, int64_t end) {
  Bounds bounds;
  for (int axis = 0; axis < 3; ++axis) bounds.first[axis] = bounds.last[axis] = ijk(begin, axis);
  for (int64_t row = begin; row < end; ++row) {
    for (int axis = 0; axis < 3; ++axis) {
      bounds.first[axis] = std::min(bounds.first[axis], ijk(row, axis));
      bounds.last[axis] = std::max(bounds.last[axis], ijk(row, axis));
    }
  }
  return bounds;
}

absl::StatusOr<HostVoxelGrid> BuildFromIjk(View<const int32_t, 2> ijk, const std::vector<int64_t>& host_offsets,
                                           const GridTransform& transform, std::string_view what) {
  RETURN_IF_ERROR(CheckTransform(transform));
  RETURN_IF_ERROR(CheckOffsets(host_offsets, ijk.shape[0], what));
  std::vector<LeafBox> boxes(host_offsets.size() - 1);
  std::mutex mutex;
  bool too_far = false;
  ForEachSampleBlock(host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    const Bounds bounds = BoundsOf(ijk, begin, end);
    LeafBox box;
    for (int axis = 0; axis < 3; ++axis) {
      box.first[axis] = bounds.first[axis] >> 3;
      box.last[axis] = bounds.last[axis] >> 3;
    }
    const bool far_here = *std::min_element(bounds.first.begin(), bounds.first.end()) < -kMaxCoordinate ||
                          *std::max_element(bounds.last.begin(), bounds.last.end()) > kMaxCoordinate;
    std::lock_guard<std::mutex> lock(mutex);
    too_far |= far_here;
    boxes[sample].Include(box);
  });
  if (too_far) {
    return DataError(absl::StrCat(std::string(what), ": a voxel coordinate is beyond +-", kMaxCoordinate));
  }
  ASSIGN_OR_RETURN(LeafBuilder builder, LeafBuilder::Create(boxes, what));
  ForEachSampleBlock(host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      builder.MarkLeaf(sample, ijk(row, 0) >> 3, ijk(row, 1) >> 3, ijk(row, 2) >> 3);
    }
  });
  builder.Seal();
  ForEachSampleBlock(host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) builder.SetVoxel(sample, ijk(row, 0), ijk(row, 1), ijk(row, 2));
  });
  return builder.Finish(transform, what);
}

}  // namespace

absl::StatusOr<HostVoxelGrid> GridFromIjkCpu(View<const int32_t, 2> ijk, const std::vector<int64_t>& host_offsets,
                                             const GridTransform& transform) {
  return BuildFromIjk(ijk, host_offsets, transform, "GridFromIjk");
}

absl::StatusOr<HostVoxelGrid> GridFromPointsCpu(View<const float, 2> points, const std::vector<int64_t>& host_offsets,
                                                const GridTransform& transform) {
  HostTensor ijk(DType::kInt32, {points.shape[0], 3});
  RETURN_IF_ERROR(
      Annotate(VoxelsOfPoints(points, transform, TieRounding::kHalfUp, ijk.view<int32_t, 2>()), "GridFromPoints"));
  return BuildFromIjk(ijk.view<int32_t, 2>(), host_offsets, transform, "GridFromPoints");
}

absl::StatusOr<HostVoxelGrid> GridFromDenseMaskCpu(View<const bool, 4> mask, const std::array<int, 3>& ijk_min,
                                                   const GridTransform& transform) {
  constexpr std::string_view kWhat = "GridFromDenseMask";
  RETURN_IF_ERROR(CheckTransform(transform));
  const int64_t samples = mask.shape[0];
  std::array<int32_t, 3> ijk_end;  // one past the last
  LeafBox box;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t end = ijk_min[axis] + mask.shape[1 + axis];
    if (ijk_min[axis] < -kMaxCoordinate || end > kMaxCoordinate) {
      return DataError(absl::StrCat(std::string(kWhat), ": axis ", axis, " runs from ", ijk_min[axis], " to ", end,
                                    ", beyond +-", kMaxCoordinate));
    }
    ijk_end[axis] = static_cast<int32_t>(end);
    box.first[axis] = ijk_min[axis] >> 3;
    box.last[axis] = (ijk_end[axis] - 1) >> 3;
  }
  if (mask.size() == 0) box = LeafBox();
  ASSIGN_OR_RETURN(LeafBuilder builder, LeafBuilder::Create(std::vector<LeafBox>(samples, box), kWhat));

  // Calls cell(mask value) for the part of a leaf inside the volume, until it returns true.
  const auto any_cell = [&](int64_t sample, const std::array<int32_t, 3>& leaf, const auto& cell) {
    std::array<int32_t, 3> begin, end;
    for (int axis = 0; axis < 3; ++axis) {
      begin[axis] = std::max(leaf[axis] * 8, ijk_min[axis]);
      end[axis] = std::min(leaf[axis] * 8 + 8, ijk_end[axis]);
    }
    for (int32_t i = begin[0]; i < end[0]; ++i) {
      for (int32_t j = begin[1]; j < end[1]; ++j) {
        for (int32_t k = begin[2]; k < end[2]; ++k) {
          if (mask(sample, i - ijk_min[0], j - ijk_min[1], k - ijk_min[2]) && cell(i, j, k)) return true;
        }
      }
    }
    return false;
  };
  const int64_t extent_x = box.last[0] - box.first[0] + 1;
  if (!box.empty()) {
    ParallelFor(samples * extent_x, 1, [&](int64_t first, int64_t last) {
      for (int64_t column = first; column < last; ++column) {
        const int64_t sample = column / extent_x;
        std::array<int32_t, 3> leaf;
        leaf[0] = static_cast<int32_t>(box.first[0] + column % extent_x);
        for (leaf[1] = box.first[1]; leaf[1] <= box.last[1]; ++leaf[1]) {
          for (leaf[2] = box.first[2]; leaf[2] <= box.last[2]; ++leaf[2]) {
            const auto found = [](int32_t, int32_t, int32_t) { return true; };
            if (any_cell(sample, leaf, found)) builder.MarkLeaf(sample, leaf[0], leaf[1], leaf[2]);
          }
        }
      }
    });
  }
  builder.Seal();
  ParallelFor(builder.num_leaves(), 16, [&](int64_t first, int64_t last) {
    for (int64_t leaf = first; leaf < last; ++leaf) {
      const int32_t* origin = builder.origin(leaf);
      uint64_t* words = builder.mask(leaf);
      any_cell(origin[3], {origin[0] >> 3, origin[1] >> 3, origin[2] >> 3}, [&](int32_t i, int32_t j, int32_t k) {
        words[i & 7] |= uint64_t{1} << BitInWord(j, k);
        return false;
      });
    }
  });
  return builder.Finish(transform, kWhat);
}

}  // namespace cubist
