#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/voxel_grid/change_grid.h"
#include "kernels/voxel_grid/leaf_builder.h"
#include "kernels/voxel_grid/sample_blocks.h"

namespace cubist {
namespace {

constexpr int64_t kRowsPerBlock = 1 << 14;
constexpr int64_t kLeavesPerBlock = 16;

// Finds rows for coordinates that come mostly leaf by leaf.
class RowFinder {
 public:
  explicit RowFinder(const LeafTableView& table) : table_(table) {}
  int32_t Find(int64_t sample, int32_t i, int32_t j, int32_t k) {
    if ((i >> 3) != leaf_i_ || (j >> 3) != leaf_j_ || (k >> 3) != leaf_k_ || sample != sample_) {
      sample_ = sample;
      leaf_i_ = i >> 3;
      leaf_j_ = j >> 3;
      leaf_k_ = k >> 3;
      leaf_ = FindLeaf(table_, sample, leaf_i_, leaf_j_, leaf_k_);
    }
    return FindRowInLeaf(table_, leaf_, i, j, k);
  }

 private:
  const LeafTableView& table_;
  int64_t sample_ = -1;
  int32_t leaf_i_ = 0, leaf_j_ = 0, leaf_k_ = 0;
  int32_t leaf_ = -1;
};

// First and last leaf, along one axis, that hold children of a parent coordinate.
struct LeafRange {
  int32_t first, last;
};
LeafRange ChildLeaves(int32_t parent, int factor) {
  return {(parent * factor) >> 3, (parent * factor + factor - 1) >> 3};
}

// The kept parent row of each of a child leaf's 512 cells, or -1.
struct ParentsOfLeaf {
  int32_t row[512];

  void Gather(RowFinder& finder, const int32_t* origin, const std::array<int, 3>& factor, View<const bool, 1> keep) {
    std::fill_n(row, 512, -1);
    int32_t first[3], last[3];
    for (int axis = 0; axis < 3; ++axis) {
      first[axis] = FloorDivide(origin[axis], factor[axis]);
      last[axis] = FloorDivide(origin[axis] + 7, factor[axis]);
    }
    for (int32_t i = first[0]; i <= last[0]; ++i) {
      for (int32_t j = first[1]; j <= last[1]; ++j) {
        for (int32_t k = first[2]; k <= last[2]; ++k) {
          const int32_t parent = finder.Find(origin[3], i, j, k);
          if (parent >= 0 && keep(parent)) FillChildren({i, j, k}, parent, origin, factor);
        }
      }
    }
  }

 private:
  void FillChildren(const std::array<int32_t, 3>& ijk, int32_t parent, const int32_t* origin,
                    const std::array<int, 3>& factor) {
    int32_t begin[3], end[3];
    for (int axis = 0; axis < 3; ++axis) {
      begin[axis] = std::max(ijk[axis] * factor[axis] - origin[axis], 0);
      end[axis] = std::min(ijk[axis] * factor[axis] + factor[axis] - origin[axis], 8);
    }
    for (int32_t a = begin[0]; a < end[0]; ++a) {
      for (int32_t b = begin[1]; b < end[1]; ++b) {
        for (int32_t c = begin[2]; c < end[2]; ++c) row[a * 64 + b * 8 + c] = parent;
      }
    }
  }
};

// For each sample the box of leaves of the kept rows' children.
absl::StatusOr<std::vector<LeafBox>> ChildBoxes(const VoxelGridView& grid, const std::array<int, 3>& factor,
                                                View<const bool, 1> keep) {
  std::vector<LeafBox> boxes(grid.batch_size());
  std::mutex mutex;
  bool too_far = false;
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    std::array<int32_t, 3> first = {kMaxCoordinate, kMaxCoordinate, kMaxCoordinate};
    std::array<int32_t, 3> last = {-kMaxCoordinate, -kMaxCoordinate, -kMaxCoordinate};
    bool any = false;
    for (int64_t row = begin; row < end; ++row) {
      if (!keep(row)) continue;
      any = true;
      for (int axis = 0; axis < 3; ++axis) {
        first[axis] = std::min(first[axis], grid.ijk(row, axis));
        last[axis] = std::max(last[axis], grid.ijk(row, axis));
      }
    }
    if (!any) return;
    LeafBox box;
    bool far_here = false;
    for (int axis = 0; axis < 3; ++axis) {
      far_here |= int64_t{first[axis]} * factor[axis] < -kMaxCoordinate ||
                  (int64_t{last[axis]} + 1) * factor[axis] - 1 > kMaxCoordinate;
    }
    if (!far_here) {
      for (int axis = 0; axis < 3; ++axis) {
        box.first[axis] = ChildLeaves(first[axis], factor[axis]).first;
        box.last[axis] = ChildLeaves(last[axis], factor[axis]).last;
      }
    }
    std::lock_guard<std::mutex> lock(mutex);
    too_far |= far_here;
    boxes[sample].Include(box);
  });
  if (too_far) return DataError(absl::StrCat("Subdivide: a child's coordinate is beyond +-", kMaxCoordinate));
  return boxes;
}

}  // namespace

absl::Status CheckFactor(const std::array<int, 3>& factor, std::string_view what) {
  if (*std::min_element(factor.begin(), factor.end()) >= 1) return absl::OkStatus();
  return InternalError(absl::StrCat(std::string(what), ": factors must be 1 or more, got ", factor[0], " x ", factor[1],
                                    " x ", factor[2]));
}

absl::StatusOr<HostGridAndParents> CoarsenCpu(const VoxelGridView& grid, const std::array<int, 3>& factor) {
  constexpr std::string_view kWhat = "Coarsen";
  RETURN_IF_ERROR(CheckFactor(factor, kWhat));
  // Over whole fine leaves, so a box may have a rim of cells without a coarse voxel, which costs nothing.
  std::vector<LeafBox> boxes(grid.batch_size());
  for (int64_t leaf = 0; leaf < grid.leaves.num_leaves; ++leaf) {
    const int32_t* origin = grid.leaves.origin + 4 * leaf;
    std::array<int32_t, 3> first, last;
    for (int axis = 0; axis < 3; ++axis) {
      first[axis] = FloorDivide(origin[axis], factor[axis]) >> 3;
      last[axis] = FloorDivide(origin[axis] + 7, factor[axis]) >> 3;
    }
    boxes[origin[3]].Include(first);
    boxes[origin[3]].Include(last);
  }
  ASSIGN_OR_RETURN(LeafBuilder builder, LeafBuilder::Create(boxes, kWhat));
  const auto coarse = [&](int64_t row, int axis) { return FloorDivide(grid.ijk(row, axis), factor[axis]); };
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      builder.MarkLeaf(sample, coarse(row, 0) >> 3, coarse(row, 1) >> 3, coarse(row, 2) >> 3);
    }
  });
  builder.Seal();
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      builder.SetVoxel(sample, coarse(row, 0), coarse(row, 1), coarse(row, 2));
    }
  });
  HostGridAndParents result;
  ASSIGN_OR_RETURN(result.grid, builder.Finish(grid.transform.Coarsened(factor), kWhat));
  result.parent = HostTensor(DType::kInt64, {grid.num_voxels()});
  const VoxelGridView coarse_grid = result.grid.View();
  int64_t* parent = result.parent.data<int64_t>();
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    RowFinder finder(coarse_grid.leaves);
    for (int64_t row = begin; row < end; ++row) {
      parent[row] = finder.Find(sample, coarse(row, 0), coarse(row, 1), coarse(row, 2));
    }
  });
  return result;
}

absl::StatusOr<HostGridAndParents> SubdivideCpu(const VoxelGridView& grid, const std::array<int, 3>& factor,
                                                View<const bool, 1> keep) {
  constexpr std::string_view kWhat = "Subdivide";
  RETURN_IF_ERROR(CheckFactor(factor, kWhat));
  if (keep.shape[0] != grid.num_voxels()) {
    return InternalError(
        absl::StrCat("Subdivide: a mask of ", keep.shape[0], " rows for a grid of ", grid.num_voxels(), " voxels"));
  }
  ASSIGN_OR_RETURN(const std::vector<LeafBox> boxes, ChildBoxes(grid, factor, keep));
  ASSIGN_OR_RETURN(LeafBuilder builder, LeafBuilder::Create(boxes, kWhat));
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (!keep(row)) continue;
      const LeafRange x = ChildLeaves(grid.ijk(row, 0), factor[0]);
      const LeafRange y = ChildLeaves(grid.ijk(row, 1), factor[1]);
      const LeafRange z = ChildLeaves(grid.ijk(row, 2), factor[2]);
      for (int32_t i = x.first; i <= x.last; ++i) {
        for (int32_t j = y.first; j <= y.last; ++j) {
          for (int32_t k = z.first; k <= z.last; ++k) builder.MarkLeaf(sample, i, j, k);
        }
      }
    }
  });
  builder.Seal();
  ParallelFor(builder.num_leaves(), kLeavesPerBlock, [&](int64_t begin, int64_t end) {
    RowFinder finder(grid.leaves);
    ParentsOfLeaf parents;
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      parents.Gather(finder, builder.origin(leaf), factor, keep);
      uint64_t* words = builder.mask(leaf);
      for (int cell = 0; cell < 512; ++cell) words[cell >> 6] |= uint64_t{parents.row[cell] >= 0} << (cell & 63);
    }
  });
  HostGridAndParents result;
  ASSIGN_OR_RETURN(result.grid, builder.Finish(grid.transform.Subdivided(factor), kWhat));
  result.parent = HostTensor(DType::kInt64, {result.grid.num_voxels()});
  const VoxelGridView children = result.grid.View();
  int64_t* parent = result.parent.data<int64_t>();
  ParallelFor(children.leaves.num_leaves, kLeavesPerBlock, [&](int64_t begin, int64_t end) {
    RowFinder finder(grid.leaves);
    ParentsOfLeaf parents;
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      parents.Gather(finder, children.leaves.origin + 4 * leaf, factor, keep);
      int64_t row = children.leaves.base[leaf];
      for (int cell = 0; cell < 512; ++cell) {
        if (parents.row[cell] >= 0) parent[row++] = parents.row[cell];
      }
    }
  });
  return result;
}

}  // namespace cubist
