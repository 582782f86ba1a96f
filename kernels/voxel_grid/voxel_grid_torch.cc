#include "kernels/voxel_grid/voxel_grid_torch.h"

#include <ATen/ops/empty.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/build_grid.h"
#include "kernels/voxel_grid/change_grid.h"
#include "kernels/voxel_grid/device_grid.h"
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
  const int32_t* boxes = host.directory_box.data<int32_t>();
  grid.host_directory_box.assign(boxes, boxes + host.directory_box.size());
  return grid;
}

at::Tensor NewRows(int64_t rows) { return at::empty({rows}, at::TensorOptions().dtype(at::kLong)); }

}  // namespace

absl::Status CheckGrid(const VoxelGrid& grid, std::string_view operation, std::optional<at::Device> device) {
  if (grid.host_offsets.empty())
    return InternalError(absl::StrCat(std::string(operation), ": the grid was never built"));
  return CheckTensorOn(grid.ijk, operation, "grid", at::kInt, {grid.num_voxels(), 3}, device);
}

absl::Status CheckCpuGrid(const VoxelGrid& grid, std::string_view operation) {
  if (grid.host_offsets.empty())
    return InternalError(absl::StrCat(std::string(operation), ": the grid was never built"));
  return CheckCpuTensor(grid.ijk, operation, "grid", at::kInt, {grid.num_voxels(), 3});
}

absl::StatusOr<VoxelGrid> GridFromIjk(const at::Tensor& ijk, const std::vector<int64_t>& host_offsets,
                                      const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTensorOn(ijk, "GridFromIjk", "ijk", at::kInt, {-1, 3}));
  if (ijk.is_cuda()) return DeviceGridFromIjk(ijk, host_offsets, transform);
  ASSIGN_OR_RETURN(const HostVoxelGrid host, GridFromIjkCpu(ViewOf<const int32_t, 2>(ijk), host_offsets, transform));
  return FromHost(host);
}

absl::StatusOr<VoxelGrid> GridFromPoints(const at::Tensor& points, const std::vector<int64_t>& host_offsets,
                                         const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTensorOn(points, "GridFromPoints", "points", at::kFloat, {-1, 3}));
  if (points.is_cuda()) return DeviceGridFromPoints(points, host_offsets, transform);
  ASSIGN_OR_RETURN(const HostVoxelGrid host,
                   GridFromPointsCpu(ViewOf<const float, 2>(points), host_offsets, transform));
  return FromHost(host);
}

absl::StatusOr<DenseGrid> GridFromDenseMask(const at::Tensor& mask, const std::array<int, 3>& ijk_min,
                                            const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTensorOn(mask, "GridFromDenseMask", "mask", at::kBool, {-1, -1, -1, -1}));
  const std::array<int, 3> dims = {static_cast<int>(mask.size(1)), static_cast<int>(mask.size(2)),
                                   static_cast<int>(mask.size(3))};
  if (mask.is_cuda()) {
    ASSIGN_OR_RETURN(VoxelGrid grid, DeviceGridFromDenseMask(mask, ijk_min, transform));
    at::Tensor dense_index = DeviceDenseIndex(grid, ijk_min, dims);
    return DenseGrid{std::move(grid), std::move(dense_index)};
  }
  ASSIGN_OR_RETURN(const HostVoxelGrid host, GridFromDenseMaskCpu(ViewOf<const bool, 4>(mask), ijk_min, transform));
  at::Tensor dense_index = NewRows(host.num_voxels());
  DenseIndexCpu(host.View(), ijk_min, dims, ViewOf<int64_t, 1>(dense_index));
  return DenseGrid{FromHost(host), std::move(dense_index)};
}

absl::StatusOr<Coarsened> Coarsen(const VoxelGrid& grid, const std::array<int, 3>& factor) {
  RETURN_IF_ERROR(CheckGrid(grid, "Coarsen"));
  if (grid.ijk.is_cuda()) {
    ASSIGN_OR_RETURN(auto made, DeviceCoarsen(grid, factor));
    return Coarsened{std::move(made.first), std::move(made.second)};
  }
  ASSIGN_OR_RETURN(const HostGridAndParents host, CoarsenCpu(grid.View(), factor));
  return Coarsened{FromHost(host.grid), TensorOf(host.parent)};
}

absl::StatusOr<Subdivided> Subdivide(const VoxelGrid& grid, const std::array<int, 3>& factor, const at::Tensor& mask) {
  RETURN_IF_ERROR(CheckGrid(grid, "Subdivide"));
  RETURN_IF_ERROR(CheckTensorOn(mask, "Subdivide", "mask", at::kBool, {grid.num_voxels()}, grid.ijk.device()));
  if (grid.ijk.is_cuda()) {
    ASSIGN_OR_RETURN(auto made, DeviceSubdivide(grid, factor, mask));
    return Subdivided{std::move(made.first), std::move(made.second)};
  }
  ASSIGN_OR_RETURN(const HostGridAndParents host, SubdivideCpu(grid.View(), factor, ViewOf<const bool, 1>(mask)));
  return Subdivided{FromHost(host.grid), TensorOf(host.parent)};
}

absl::StatusOr<at::Tensor> Lookup(const VoxelGrid& grid, const at::Tensor& ijk,
                                  const std::vector<int64_t>& host_offsets) {
  RETURN_IF_ERROR(CheckGrid(grid, "Lookup"));
  RETURN_IF_ERROR(CheckTensorOn(ijk, "Lookup", "ijk", at::kInt, {-1, 3}, grid.ijk.device()));
  if (ijk.is_cuda()) return DeviceLookup(grid, ijk, host_offsets);
  at::Tensor rows = NewRows(ijk.size(0));
  RETURN_IF_ERROR(LookupCpu(grid.View(), ViewOf<const int32_t, 2>(ijk), host_offsets, ViewOf<int64_t, 1>(rows)));
  return rows;
}

absl::StatusOr<at::Tensor> DenseIndex(const VoxelGrid& grid, const std::array<int, 3>& ijk_min,
                                      const std::array<int, 3>& dims) {
  RETURN_IF_ERROR(CheckGrid(grid, "DenseIndex"));
  if (grid.ijk.is_cuda()) return DeviceDenseIndex(grid, ijk_min, dims);
  at::Tensor index = NewRows(grid.num_voxels());
  DenseIndexCpu(grid.View(), ijk_min, dims, ViewOf<int64_t, 1>(index));
  return index;
}

absl::StatusOr<at::Tensor> NeighborMap(const VoxelGrid& grid, at::Tensor* tap_mask) {
  RETURN_IF_ERROR(CheckGrid(grid, "NeighborMap"));
  if (grid.ijk.is_cuda()) return DeviceNeighborMap(grid, tap_mask);
  at::Tensor map = at::empty({27, grid.num_voxels()}, at::TensorOptions().dtype(at::kInt));
  NeighborMapCpu(grid.View(), ViewOf<int32_t, 2>(map));
  if (tap_mask != nullptr) {
    *tap_mask = at::empty({grid.num_voxels()}, at::TensorOptions().dtype(at::kInt));
    TapMaskCpu(ViewOf<const int32_t, 2>(map), ViewOf<int32_t, 1>(*tap_mask));
  }
  return map;
}

}  // namespace cubist
