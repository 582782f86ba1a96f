// Built with -ffp-contract=off, as everything that computes centres.
#include "kernels/nearest_voxel/lattices.h"

#include <algorithm>
#include <cmath>

namespace cubist {
namespace {

double Snapped(double x) {
  const double near = std::nearbyint(x * 256) / 256;
  return std::fabs(x - near) <= 1e-6 ? near : x;
}

}  // namespace

Lattices::Lattices(const GridTransform& of_reference, const GridTransform& of_query) {
  const double unit = *std::min_element(of_reference.voxel_size.begin(), of_reference.voxel_size.end());
  for (int axis = 0; axis < 3; ++axis) {
    reference.scale[axis] = Snapped(of_reference.voxel_size[axis] / unit);
    reference.shift[axis] = 0;
    query.scale[axis] = Snapped(of_query.voxel_size[axis] / unit);
    query.shift[axis] = Snapped((of_query.origin[axis] - of_reference.origin[axis]) / unit);
  }
}

bool Lattices::same() const {
  return std::equal(reference.scale, reference.scale + 3, query.scale) &&
         std::equal(reference.shift, reference.shift + 3, query.shift);
}

}  // namespace cubist
