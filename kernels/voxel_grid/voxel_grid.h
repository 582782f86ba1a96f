// A batch of voxel grids as tensors.
#ifndef CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_H_
#define CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/voxel_grid/grid_transform.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// A batch of grids with one transform, on one device. Immutable; copies share memory. L leaves, D directory cells.
struct VoxelGrid {
  at::Tensor ijk;                     // int32 [N, 3], canonical order in each sample (leaf_table.h)
  at::Tensor offsets;                 // int64 [B+1]
  std::vector<int64_t> host_offsets;  // the same on the host
  GridTransform transform;

  // The leaf table (leaf_table.h); masks and prefixes are unsigned bits in int64. Grids made on a GPU from others may
  // have wider directories than on the CPU: those that follow from the other's, known without waiting for the GPU.
  at::Tensor leaf_mask;      // int64 [L, 8]
  at::Tensor leaf_prefix;    // int64 [L]
  at::Tensor leaf_base;      // int32 [L]
  at::Tensor leaf_origin;    // int32 [L, 4]
  at::Tensor directory_box;  // int32 [B, 8]
  at::Tensor directory;      // int32 [D]
  // directory_box on the host, [B * 8]: what boxes of further grids are derived from.
  std::vector<int32_t> host_directory_box;

  int64_t num_voxels() const { return host_offsets.empty() ? 0 : host_offsets.back(); }
  int64_t batch_size() const { return host_offsets.empty() ? 0 : static_cast<int64_t>(host_offsets.size()) - 1; }
  // What kernels of the grid's device take; valid as long as the grid lives.
  VoxelGridView View() const;
  // The same grid with its tensors on another device. Between a GPU and unpinned memory the host waits.
  VoxelGrid To(at::Device device) const;
  // The same grid with its tensors, which are on the CPU, in pinned memory.
  VoxelGrid Pinned() const;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_VOXEL_GRID_H_
