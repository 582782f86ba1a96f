#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

VoxelGridView HostVoxelGrid::View() const {
  VoxelGridView view;
  view.leaves.num_leaves = leaf_base.shape()[0];
  view.leaves.batch_size = batch_size();
  view.leaves.mask = reinterpret_cast<const uint64_t*>(leaf_mask.data<int64_t>());
  view.leaves.prefix = reinterpret_cast<const uint64_t*>(leaf_prefix.data<int64_t>());
  view.leaves.base = leaf_base.data<int32_t>();
  view.leaves.origin = leaf_origin.data<int32_t>();
  view.leaves.box = directory_box.data<int32_t>();
  view.leaves.directory = directory.data<int32_t>();
  view.ijk = ijk.view<int32_t, 2>();
  view.host_offsets.assign(offsets.data<int64_t>(), offsets.data<int64_t>() + offsets.size());
  view.transform = transform;
  return view;
}

}  // namespace cubist
