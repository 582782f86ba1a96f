// A batch of voxel grids on the host, and the view of it that kernels take.
#ifndef CUBIST_KERNELS_VOXEL_GRID_HOST_GRID_H_
#define CUBIST_KERNELS_VOXEL_GRID_HOST_GRID_H_

#include <cstdint>
#include <vector>

#include "base/host_tensor.h"
#include "base/view.h"
#include "kernels/voxel_grid/grid_transform.h"
#include "kernels/voxel_grid/leaf_table.h"

namespace cubist {

// Coordinates, leaf table and where each sample's rows begin. The arrays may lie on a device; host_offsets never does.
struct VoxelGridView {
  LeafTableView leaves;
  View<const int32_t, 2> ijk;  // [N, 3]
  std::vector<int64_t> host_offsets;
  GridTransform transform;

  int64_t num_voxels() const { return ijk.shape[0]; }
  int64_t batch_size() const { return leaves.batch_size; }
};

// Owned arrays; the layouts are those of leaf_table.h. Immutable once built; copies share memory.
struct HostVoxelGrid {
  HostTensor ijk;            // int32 [N, 3], canonical order in each sample
  HostTensor offsets;        // int64 [B+1]
  HostTensor leaf_mask;      // int64 [L, 8]
  HostTensor leaf_prefix;    // int64 [L]
  HostTensor leaf_base;      // int32 [L]
  HostTensor leaf_origin;    // int32 [L, 4]
  HostTensor directory_box;  // int32 [B, 8]
  HostTensor directory;      // int32 [D]
  GridTransform transform;

  int64_t num_voxels() const { return ijk.shape()[0]; }
  int64_t batch_size() const { return directory_box.shape()[0]; }
  // Valid as long as this grid or a copy of it lives.
  VoxelGridView View() const;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_HOST_GRID_H_
