// The place of a leaf in the canonical order (leaf_table.h) among all cells of a box of leaves, by arithmetic: leaves
// that are numbered by a scan over places need no sorting.
//
// The order is that of blocks of 2^9 leaves an axis (root tiles), in a block of blocks of 2^4 (lower nodes), in those
// of leaves; blocks are cut off by the box and go x before y before z.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LEAF_ORDER_H_
#define CUBIST_KERNELS_VOXEL_GRID_LEAF_ORDER_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Leaves [first, first + extent) along each axis; fewer than 2^31 in all.
struct LeafCells {
  int32_t first[3];
  int32_t extent[3];

  // `box` as a row of LeafTableView::box.
  CUBIST_HOST_DEVICE explicit LeafCells(const int32_t* box) {
    for (int axis = 0; axis < 3; ++axis) {
      first[axis] = box[axis];
      extent[axis] = box[3 + axis];
    }
  }

  // Shrinks to the layer of blocks that holds coordinate `at`. Returns how many leaves lie in layers before it.
  CUBIST_HOST_DEVICE uint32_t EnterLayer(int axis, int shift, int32_t at) {
    const int32_t block_first = at >> shift << shift;
    const int32_t block_end = block_first + (1 << shift);
    const int32_t end = first[axis] + extent[axis] < block_end ? first[axis] + extent[axis] : block_end;
    const int32_t begin = first[axis] > block_first ? first[axis] : block_first;
    const uint32_t before = static_cast<uint32_t>(begin - first[axis]) * PerStep(axis);
    first[axis] = begin;
    extent[axis] = end - begin;
    return before;
  }
  // Leaves that have one coordinate in common.
  CUBIST_HOST_DEVICE uint32_t PerStep(int axis) const {
    return static_cast<uint32_t>(extent[(axis + 1) % 3]) * static_cast<uint32_t>(extent[(axis + 2) % 3]);
  }
};

// The place of leaf (x, y, z), which lies in `cells`.
CUBIST_HOST_DEVICE inline uint32_t PlaceOfLeaf(LeafCells cells, int32_t x, int32_t y, int32_t z) {
  const auto enter_block = [&](int shift) {
    const uint32_t before_x = cells.EnterLayer(0, shift, x);
    const uint32_t before_y = cells.EnterLayer(1, shift, y);
    return before_x + before_y + cells.EnterLayer(2, shift, z);
  };
  const uint32_t before_tile = enter_block(9);
  const uint32_t before_node = enter_block(4);
  return before_tile + before_node + enter_block(0);
}

// The leaf at a place, which is below the number of cells: the inverse of PlaceOfLeaf.
CUBIST_HOST_DEVICE inline void LeafAtPlace(LeafCells cells, uint32_t place, int32_t leaf[3]) {
  const auto enter_block = [&](int shift) {
    for (int axis = 0; axis < 3; ++axis) {
      leaf[axis] = cells.first[axis] + static_cast<int32_t>(place / cells.PerStep(axis));
      place -= cells.EnterLayer(axis, shift, leaf[axis]);
    }
  };
  enter_block(9);
  enter_block(4);
  enter_block(0);
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LEAF_ORDER_H_
