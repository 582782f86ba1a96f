#include "kernels/voxel_grid/voxel_grid.h"

#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

// The grid with change(tensor) in place of each of its tensors.
template <typename Change>
VoxelGrid WithEach(VoxelGrid grid, const Change& change) {
  for (at::Tensor* tensor : {&grid.ijk, &grid.offsets, &grid.leaf_mask, &grid.leaf_prefix, &grid.leaf_base,
                             &grid.leaf_origin, &grid.directory_box, &grid.directory}) {
    *tensor = change(*tensor);
  }
  return grid;
}

}  // namespace

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
  return WithEach(*this, [device](const at::Tensor& tensor) {
    return tensor.to(device, tensor.scalar_type(), /*non_blocking=*/!device.is_cpu());
  });
}

VoxelGrid VoxelGrid::Pinned() const {
  return WithEach(*this, [](const at::Tensor& tensor) { return tensor.pin_memory(); });
}

}  // namespace cubist
