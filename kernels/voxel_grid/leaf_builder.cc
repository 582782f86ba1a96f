#include "kernels/voxel_grid/leaf_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr int64_t kLeavesPerBlock = 64;

// A leaf with its place in the canonical order: root tile, then the 27 bits of upper and lower child.
struct OrderedLeaf {
  uint64_t root;
  uint32_t child;
  int32_t cell;
  std::array<int32_t, 3> leaf;

  OrderedLeaf(int32_t cell_in, const std::array<int32_t, 3>& leaf_in)
      : root(0), child(0), cell(cell_in), leaf(leaf_in) {
    uint32_t upper = 0, lower = 0;
    for (const int32_t coordinate : leaf) {
      // Leaf coordinates have 29 bits: 20 of the signed root tile, 5 and 4 of the children.
      root = root << 20 | static_cast<uint64_t>((coordinate >> 9) + (1 << 19));
      upper = upper << 5 | static_cast<uint32_t>((coordinate >> 4) & 31);
      lower = lower << 4 | static_cast<uint32_t>(coordinate & 15);
    }
    child = upper << 12 | lower;
  }
  bool operator<(const OrderedLeaf& other) const {
    return root != other.root ? root < other.root : child < other.child;
  }
};

}  // namespace

absl::StatusOr<LeafBuilder> LeafBuilder::Create(const std::vector<LeafBox>& boxes, std::string_view what) {
  ASSIGN_OR_RETURN(const DirectoryLayout layout, LayOutDirectory(boxes, what));
  LeafBuilder builder;
  builder.directory_box_ = HostTensor(DType::kInt32, {static_cast<int64_t>(boxes.size()), 8});
  std::copy(layout.box.begin(), layout.box.end(), builder.directory_box_.data<int32_t>());
  builder.directory_ = HostTensor(DType::kInt32, {layout.cells});
  std::fill_n(builder.directory_.data<int32_t>(), layout.cells, -1);
  return builder;
}

void LeafBuilder::Seal() {
  std::vector<OrderedLeaf> leaves;
  const int64_t samples = directory_box_.shape()[0];
  int32_t* directory = directory_.data<int32_t>();
  std::vector<int64_t> first_leaf(samples + 1, 0);
  for (int64_t sample = 0; sample < samples; ++sample) {
    const int32_t* box = directory_box_.data<int32_t>() + 8 * sample;
    int32_t cell = box[6];
    for (int32_t x = 0; x < box[3]; ++x) {
      for (int32_t y = 0; y < box[4]; ++y) {
        for (int32_t z = 0; z < box[5]; ++z, ++cell) {
          if (directory[cell] == kMarked) leaves.emplace_back(cell, std::array{box[0] + x, box[1] + y, box[2] + z});
        }
      }
    }
    first_leaf[sample + 1] = static_cast<int64_t>(leaves.size());
    std::sort(leaves.begin() + first_leaf[sample], leaves.end());
  }
  const int64_t count = static_cast<int64_t>(leaves.size());
  leaf_origin_ = HostTensor(DType::kInt32, {count, 4});
  leaf_mask_ = HostTensor(DType::kInt64, {count, 8});
  std::memset(leaf_mask_.bytes(), 0, leaf_mask_.byte_size());
  int32_t* origin = leaf_origin_.data<int32_t>();
  for (int64_t sample = 0; sample < samples; ++sample) {
    for (int64_t leaf = first_leaf[sample]; leaf < first_leaf[sample + 1]; ++leaf) {
      directory[leaves[leaf].cell] = static_cast<int32_t>(leaf);
      for (int axis = 0; axis < 3; ++axis) origin[4 * leaf + axis] = leaves[leaf].leaf[axis] * 8;
      origin[4 * leaf + 3] = static_cast<int32_t>(sample);
    }
  }
}

absl::StatusOr<HostVoxelGrid> LeafBuilder::Finish(const GridTransform& transform, std::string_view what) {
  const int64_t leaves = num_leaves();
  const int64_t samples = directory_box_.shape()[0];
  HostVoxelGrid grid;
  grid.transform = transform;
  grid.offsets = HostTensor(DType::kInt64, {samples + 1});
  grid.leaf_prefix = HostTensor(DType::kInt64, {leaves});
  grid.leaf_base = HostTensor(DType::kInt32, {leaves});
  int64_t* offsets = grid.offsets.data<int64_t>();
  std::fill_n(offsets, samples + 1, 0);
  int64_t rows = 0;
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    uint64_t prefix = 0;
    int in_leaf = 0;
    for (int word = 0; word < 8; ++word) {
      if (word > 0) prefix |= static_cast<uint64_t>(in_leaf) << (9 * (word - 1));
      in_leaf += CountBits(mask(leaf)[word]);
    }
    grid.leaf_base.data<int32_t>()[leaf] =
        static_cast<int32_t>(std::min<int64_t>(rows, std::numeric_limits<int32_t>::max()));
    grid.leaf_prefix.data<int64_t>()[leaf] = static_cast<int64_t>(prefix);
    rows += in_leaf;
    offsets[origin(leaf)[3] + 1] += in_leaf;
  }
  if (rows > std::numeric_limits<int32_t>::max()) {
    return DataError(absl::StrCat(std::string(what), ": ", rows, " voxels in a batch; rows are 32-bit numbers. Put ",
                                  "fewer samples into a batch or use larger voxels"));
  }
  for (int64_t sample = 0; sample < samples; ++sample) offsets[sample + 1] += offsets[sample];
  grid.ijk = HostTensor(DType::kInt32, {rows, 3});
  ParallelFor(leaves, kLeavesPerBlock, [&](int64_t begin, int64_t end) {
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      const int32_t* corner = origin(leaf);
      int32_t* out = grid.ijk.data<int32_t>() + 3 * int64_t{grid.leaf_base.data<int32_t>()[leaf]};
      for (int word = 0; word < 8; ++word) {
        for (uint64_t bits = mask(leaf)[word]; bits != 0; bits &= bits - 1, out += 3) {
          const int bit = __builtin_ctzll(bits);
          out[0] = corner[0] + word;
          out[1] = corner[1] + (bit >> 3);
          out[2] = corner[2] + (bit & 7);
        }
      }
    }
  });
  grid.leaf_mask = std::move(leaf_mask_);
  grid.leaf_origin = std::move(leaf_origin_);
  grid.directory_box = std::move(directory_box_);
  grid.directory = std::move(directory_);
  return grid;
}

}  // namespace cubist
