// For each voxel of one grid the nearest voxel of another: how predicted voxels find the ground truth's class.
#ifndef CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_H_
#define CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "base/view.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// nearest[n] = row, in the whole batch, of the voxel of `reference` in the same sample whose centre is nearest, in
// metres, to the centre of voxel n of `query`; -1 where that sample of `reference` is empty. Ties go to the smallest
// row.
//
// Distances are compared in units of the reference's smallest voxel edge. Ratios of voxel sizes and the offset between
// origins that come within 1e-6 of a multiple of 1/256 are taken as that multiple. So, as for every pair of levels of
// one pyramid, squared distances are exact in double up to 2^17 voxels, and ties are ties; for other pairs of lattices
// distances carry double's rounding.
//   nearest: [N_query].  InternalError: batch sizes that differ, or a result of another length.
absl::Status NearestVoxelCpu(const VoxelGridView& reference, const VoxelGridView& query, View<int64_t, 1> nearest);

}  // namespace cubist

#endif  // CUBIST_KERNELS_NEAREST_VOXEL_NEAREST_VOXEL_H_
