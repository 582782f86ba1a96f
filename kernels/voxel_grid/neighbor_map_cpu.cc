#include <algorithm>

#include "base/parallel_for.h"
#include "kernels/voxel_grid/neighbor_map.h"

namespace cubist {
namespace {

constexpr int64_t kLeavesPerBlock = 16;

// The rows of a leaf and of the voxels around it: cell (i, j, k) of the leaf, -1 <= i,j,k <= 8.
class Brick {
 public:
  static constexpr int kStrideX = 100;
  static constexpr int kStrideY = 10;
  static int Cell(int i, int j, int k) { return (i + 1) * kStrideX + (j + 1) * kStrideY + (k + 1); }

  void Gather(const LeafTableView& table, int64_t leaf) {
    std::fill_n(row_, 1000, -1);
    const int32_t* origin = table.origin + 4 * leaf;
    for (int x = -1; x <= 1; ++x) {
      for (int y = -1; y <= 1; ++y) {
        for (int z = -1; z <= 1; ++z) {
          const int32_t source =
              FindLeaf(table, origin[3], (origin[0] >> 3) + x, (origin[1] >> 3) + y, (origin[2] >> 3) + z);
          if (source >= 0) Copy(table, source, x, y, z);
        }
      }
    }
  }
  int32_t operator[](int cell) const { return row_[cell]; }

 private:
  // The layer, the row of cells or the corner of a leaf at (x, y, z) from the middle one that touches it.
  void Copy(const LeafTableView& table, int32_t leaf, int x, int y, int z) {
    const int first_word = x == -1 ? 7 : 0;
    const int last_word = x == 1 ? 0 : 7;
    uint64_t touching = ~uint64_t{0};
    if (y != 0) touching &= y == 1 ? 0xffu : uint64_t{0xff} << 56;
    if (z != 0) touching &= z == 1 ? 0x0101010101010101u : 0x8080808080808080u;
    for (int word = first_word; word <= last_word; ++word) {
      const uint64_t mask = table.mask[8 * int64_t{leaf} + word];
      uint64_t bits = mask & touching;
      if (bits == 0) continue;
      const int32_t row = table.base[leaf] + BitsBefore(table, leaf, word, 0);
      for (; bits != 0; bits &= bits - 1) {
        const int bit = __builtin_ctzll(bits);
        row_[Cell(8 * x + word, 8 * y + (bit >> 3), 8 * z + (bit & 7))] =
            row + CountBits(mask & ((uint64_t{1} << bit) - 1));
      }
    }
  }

  int32_t row_[1000];
};

}  // namespace

void NeighborMapCpu(const VoxelGridView& grid, View<int32_t, 2> map) {
  const LeafTableView& table = grid.leaves;
  ParallelFor(table.num_leaves, kLeavesPerBlock, [&](int64_t begin, int64_t end) {
    Brick brick;
    int cells[512];
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      brick.Gather(table, leaf);
      int count = 0;
      for (int word = 0; word < 8; ++word) {
        for (uint64_t bits = table.mask[8 * leaf + word]; bits != 0; bits &= bits - 1) {
          const int bit = __builtin_ctzll(bits);
          cells[count++] = Brick::Cell(word, bit >> 3, bit & 7);
        }
      }
      for (int tap = 0; tap < 27; ++tap) {
        const int shift = (tap / 9 - 1) * Brick::kStrideX + (tap / 3 % 3 - 1) * Brick::kStrideY + (tap % 3 - 1);
        int32_t* out = map.data + tap * map.stride[0] + table.base[leaf];
        for (int n = 0; n < count; ++n) out[n] = brick[cells[n] + shift];
      }
    }
  });
}

void TapMaskCpu(View<const int32_t, 2> map, View<int32_t, 1> mask) {
  ParallelFor(map.shape[1], 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      uint32_t taps = 0;
      for (int tap = 0; tap < 27; ++tap) taps |= static_cast<uint32_t>(map(tap, n) >= 0) << tap;
      mask(n) = static_cast<int32_t>(taps);
    }
  });
}

}  // namespace cubist
