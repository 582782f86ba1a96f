// The leaf table: how a voxel grid is looked up, on the host and on a device.
//
// Voxels lie in leaves of 8x8x8. A leaf has a 512-bit mask; voxel (i, j, k) is bit (j&7)*8 + (k&7) of word i&7 (the
// layout of NanoVDB's leaves). A dense directory over the box of leaves of each sample gives the leaf of a coordinate,
// and the count of mask bits before a voxel its row. Leaves of a sample, and so its rows, are in NanoVDB's tree order:
// by root tile (ijk >> 12, signed, x then y then z), then upper child (bits 11..7), lower child (bits 6..3), then
// voxel.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LEAF_TABLE_H_
#define CUBIST_KERNELS_VOXEL_GRID_LEAF_TABLE_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Arrays of one device, owned by somebody else. L leaves, B samples, D directory cells.
struct LeafTableView {
  int64_t num_leaves = 0;
  int64_t batch_size = 0;
  const uint64_t* mask = nullptr;      // [L, 8]
  const uint64_t* prefix = nullptr;    // [L] bits before word w (1..7): (prefix >> 9*(w-1)) & 511
  const int32_t* base = nullptr;       // [L] row of the first voxel, in the whole batch
  const int32_t* origin = nullptr;     // [L, 4] i, j, k of the leaf's first cell; sample
  const int32_t* box = nullptr;        // [B, 8] first leaf (ijk >> 3) of the box; its extents in leaves; offset; 0
  const int32_t* directory = nullptr;  // [D] leaf at offset + (x * extent_y + y) * extent_z + z, or -1
};

// Cells that the directories of a batch may have in all: 256 MiB, a box of 3,251^3 voxels. Grids that span more are
// refused with a DataError.
inline constexpr int64_t kMaxDirectoryCells = int64_t{1} << 26;

CUBIST_HOST_DEVICE inline int CountBits(uint64_t x) {
#ifdef __CUDA_ARCH__
  return __popcll(x);
#else
  // Without -mpopcnt the builtin is a call; this is not.
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return static_cast<int>((x * 0x0101010101010101u) >> 56);
#endif
}

// The leaf with leaf coordinates (ijk >> 3) in a sample, or -1. Any int32 >> 3 may be asked for.
CUBIST_HOST_DEVICE inline int32_t FindLeaf(const LeafTableView& table, int64_t sample, int32_t leaf_i, int32_t leaf_j,
                                           int32_t leaf_k) {
  const int32_t* box = table.box + 8 * sample;
  const uint32_t x = static_cast<uint32_t>(leaf_i - box[0]);
  const uint32_t y = static_cast<uint32_t>(leaf_j - box[1]);
  const uint32_t z = static_cast<uint32_t>(leaf_k - box[2]);
  const uint32_t extent_y = static_cast<uint32_t>(box[4]);
  const uint32_t extent_z = static_cast<uint32_t>(box[5]);
  if (x >= static_cast<uint32_t>(box[3]) || y >= extent_y || z >= extent_z) return -1;
  return table.directory[static_cast<uint32_t>(box[6]) + (x * extent_y + y) * extent_z + z];
}

// The bit of voxel (., j, k) in its mask word.
CUBIST_HOST_DEVICE inline int BitInWord(int32_t j, int32_t k) { return (j & 7) * 8 + (k & 7); }

// Active voxels of the leaf before bit `bit` of word `word`.
CUBIST_HOST_DEVICE inline int32_t BitsBefore(const LeafTableView& table, int32_t leaf, int word, int bit) {
  const int32_t words = word == 0 ? 0 : static_cast<int32_t>((table.prefix[leaf] >> (9 * (word - 1))) & 511);
  return words + CountBits(table.mask[8 * int64_t{leaf} + word] & ((uint64_t{1} << bit) - 1));
}

// The row of voxel (i, j, k) in the whole batch when it lies in `leaf`, or -1 when it is not active or leaf is -1.
CUBIST_HOST_DEVICE inline int32_t FindRowInLeaf(const LeafTableView& table, int32_t leaf, int32_t i, int32_t j,
                                                int32_t k) {
  if (leaf < 0) return -1;
  const int word = i & 7;
  const int bit = BitInWord(j, k);
  if (((table.mask[8 * int64_t{leaf} + word] >> bit) & 1) == 0) return -1;
  return table.base[leaf] + BitsBefore(table, leaf, word, bit);
}

// The row of voxel (i, j, k) of a sample in the whole batch, or -1. Shifts are arithmetic: negative coordinates work.
CUBIST_HOST_DEVICE inline int32_t FindRow(const LeafTableView& table, int64_t sample, int32_t i, int32_t j, int32_t k) {
  return FindRowInLeaf(table, FindLeaf(table, sample, i >> 3, j >> 3, k >> 3), i, j, k);
}

// floor(value / factor) for a positive factor.
CUBIST_HOST_DEVICE inline int32_t FloorDivide(int32_t value, int32_t factor) {
  return value >= 0 ? value / factor : -1 - (-1 - value) / factor;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LEAF_TABLE_H_
