#include "kernels/voxel_grid/voxel_grid_torch.h"

#include <ATen/ops/empty.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/build_grid.h"
#include "kernels/voxel_grid/change_grid.h"
#include "kernels/voxel_grid/lookup.h"
#include "kernels/voxel_grid/neighbor_map.h"
#include "kernels/voxel_grid/tensor_bridge.h"

namespace cubist {
namespace {

VoxelGrid FromHost(const HostVoxelGrid& host) {
  VoxelGrid grid;
  grid.ijk = TensorOf(host.ijk);
  grid.offsets = TensorOf(host.offsets);
  grid.host_offsets = host.View().host_offsets;
  grid.transform = host.transform;
  grid.leaf_mask = TensorOf(host.leaf_mask);
  grid.leaf_prefix = TensorOf(host.leaf_prefix);
  grid.leaf_base = TensorOf(host.leaf_base);
  grid.leaf_origin = TensorOf(host.leaf_origin);
  grid.directory_box = TensorOf(host.directory_box);
  grid.directory = TensorOf(host.directory);
  return grid;
}

at::Tensor NewRows(int64_t rows) { return at::empty({rows}, at::TensorOptions().dtype(at::kLong)); }

}  // namespace

absl::Status CheckCpuGrid(const VoxelGrid& grid, std::string_view operation) {
  if (grid.host_offsets.empty())
    return InternalError(absl::StrCat(std::string(operation), ": the grid was never built"));
  return CheckCpuTensor(grid.ijk, operation, "grid", at::kInt, {grid.num_voxels(), 3});
}

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

absl::StatusOr<VoxelGrid> GridFromIjk(const at::Tensor& ijk, const std::vector<int64_t>& host_offsets,
                                      const GridTransform& transform) {
  RETURN_IF_ERROR(CheckCpuTensor(ijk, "GridFromIjk", "ijk", at::kInt, {-1, 3}));
  ASSIGN_OR_RETURN(const HostVoxelGrid host, GridFromIjkCpu(ViewOf<const int32_t, 2>(ijk), host_offsets, transform));
  return FromHost(host);
}

absl::StatusOr<VoxelGrid> GridFromPoints(const at::Tensor& points, const std::vector<int64_t>& host_offsets,
                                         const GridTransform& transform) {
  RETURN_IF_ERROR(CheckCpuTensor(points, "GridFromPoints", "points", at::kFloat, {-1, 3}));
  ASSIGN_OR_RETURN(const HostVoxelGrid host,
                   GridFromPointsCpu(ViewOf<const float, 2>(points), host_offsets, transform));
  return FromHost(host);
}

absl::StatusOr<DenseGrid> GridFromDenseMask(const at::Tensor& mask, const std::array<int, 3>& ijk_min,
                                            const GridTransform& transform) {
  RETURN_IF_ERROR(CheckCpuTensor(mask, "GridFromDenseMask", "mask", at::kBool, {-1, -1, -1, -1}));
  ASSIGN_OR_RETURN(const HostVoxelGrid host, GridFromDenseMaskCpu(ViewOf<const bool, 4>(mask), ijk_min, transform));
  const std::array<int, 3> dims = {static_cast<int>(mask.size(1)), static_cast<int>(mask.size(2)),
                                   static_cast<int>(mask.size(3))};
  at::Tensor dense_index = NewRows(host.num_voxels());
  DenseIndexCpu(host.View(), ijk_min, dims, ViewOf<int64_t, 1>(dense_index));
  return DenseGrid{FromHost(host), std::move(dense_index)};
}

absl::StatusOr<Coarsened> Coarsen(const VoxelGrid& grid, const std::array<int, 3>& factor) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "Coarsen"));
  ASSIGN_OR_RETURN(const HostGridAndParents host, CoarsenCpu(grid.View(), factor));
  return Coarsened{FromHost(host.grid), TensorOf(host.parent)};
}

absl::StatusOr<Subdivided> Subdivide(const VoxelGrid& grid, const std::array<int, 3>& factor, const at::Tensor& mask) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "Subdivide"));
  RETURN_IF_ERROR(CheckCpuTensor(mask, "Subdivide", "mask", at::kBool, {grid.num_voxels()}));
  ASSIGN_OR_RETURN(const HostGridAndParents host, SubdivideCpu(grid.View(), factor, ViewOf<const bool, 1>(mask)));
  return Subdivided{FromHost(host.grid), TensorOf(host.parent)};
}

absl::StatusOr<at::Tensor> Lookup(const VoxelGrid& grid, const at::Tensor& ijk,
                                  const std::vector<int64_t>& host_offsets) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "Lookup"));
  RETURN_IF_ERROR(CheckCpuTensor(ijk, "Lookup", "ijk", at::kInt, {-1, 3}));
  at::Tensor rows = NewRows(ijk.size(0));
  RETURN_IF_ERROR(LookupCpu(grid.View(), ViewOf<const int32_t, 2>(ijk), host_offsets, ViewOf<int64_t, 1>(rows)));
  return rows;
}

absl::StatusOr<at::Tensor> DenseIndex(const VoxelGrid& grid, const std::array<int, 3>& ijk_min,
                                      const std::array<int, 3>& dims) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "DenseIndex"));
  at::Tensor index = NewRows(grid.num_voxels());
  DenseIndexCpu(grid.View(), ijk_min, dims, ViewOf<int64_t, 1>(index));
  return index;
}

absl::StatusOr<at::Tensor> NeighborMap(const VoxelGrid& grid) {
  RETURN_IF_ERROR(CheckCpuGrid(grid, "NeighborMap"));
  at::Tensor map = at::empty({27, grid.num_voxels()}, at::TensorOptions().dtype(at::kInt));
  NeighborMapCpu(grid.View(), ViewOf<int32_t, 2>(map));
  return map;
}

}  // namespace cubist
