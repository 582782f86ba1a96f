#include "kernels/voxel_grid/voxel_grid.h"

#include "kernels/tensor_view/tensor_view.h"

namespace cubist {

VoxelGridView VoxelGrid::View() const {
  VoxelGridView view;
  view.leaves.num_leaves = leaf_base.size(0);
  view.leaves.batch_size = batch_size();
  view.leaves.mask = reinterpret_cast<const uint64_t*>(leaf_mask.const_data_ptr<int64_t>());
  view.leaves.prefix = reinterpret_cast<const uint64_t*>(leaf_prefix.const_data_ptr<int64_t>());
  view.leaves.base = leaf_base.const_data_ptr<int32_t>();
  view.leaves.origin = leaf_origin.const_data_ptr<int32_t>();
  view.leaves.box = directory_box.const_data_ptr<int32_t>();
  view.leaves.directory = directory.const_data_ptr<int32_t>();
  view.ijk = ViewOf<const int32_t, 2>(ijk);
  view.host_offsets = host_offsets;
  view.transform = transform;
  return view;
}

VoxelGrid VoxelGrid::To(at::Device device) const {
  VoxelGrid moved = *this;
  for (at::Tensor* tensor : {&moved.ijk, &moved.offsets, &moved.leaf_mask, &moved.leaf_prefix, &moved.leaf_base,
                             &moved.leaf_origin, &moved.directory_box, &moved.directory}) {
    *tensor = tensor->to(device, tensor->scalar_type(), /*non_blocking=*/!device.is_cpu());
  }
  return moved;
}

}  // namespace cubist
