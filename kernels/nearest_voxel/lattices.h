// The voxel centres of two grids in common units.
#ifndef CUBIST_KERNELS_NEAREST_VOXEL_LATTICES_H_
#define CUBIST_KERNELS_NEAREST_VOXEL_LATTICES_H_

#include <cstdint>

#include "base/view.h"
#include "kernels/voxel_grid/grid_transform.h"

namespace cubist {

// Voxel centres along each axis at i * scale + shift.
struct Lattice {
  double scale[3];
  double shift[3];

  // Rounded twice: sources that use it are built without fused multiply-add.
  CUBIST_HOST_DEVICE double Centre(int axis, int64_t i) const {
    return static_cast<double>(i) * scale[axis] + shift[axis];
  }
};

// In units of the reference's smallest voxel edge, from the centre of the reference's voxel (0, 0, 0). Ratios and
// offsets that come within 1e-6 of a multiple of 1/256 are that multiple: voxel sizes and origins carry a few units of
// rounding.
struct Lattices {
  Lattice reference, query;

  Lattices(const GridTransform& of_reference, const GridTransform& of_query);
  bool same() const;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_NEAREST_VOXEL_LATTICES_H_
