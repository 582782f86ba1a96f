#include "models/nn/voxel_domain.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/stack.h>

#include <utility>

#include "base/status.h"
#include "kernels/sparse_conv/sparse_conv_torch.h"

namespace cubist {
namespace {

std::optional<at::Tensor> Optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

}  // namespace

VoxelDomain::VoxelDomain(VoxelGrid grid, at::Tensor neighbor_map)
    : grid_(std::move(grid)),
      neighbor_map_(std::move(neighbor_map)),
      offsets_(grid_.host_offsets),
      device_offsets_(grid_.offsets) {}

absl::StatusOr<VoxelDomain> VoxelDomain::Sparse(VoxelGrid grid) {
  ASSIGN_OR_RETURN(at::Tensor neighbor_map, NeighborMap(grid));
  return VoxelDomain(std::move(grid), std::move(neighbor_map));
}

VoxelDomain::VoxelDomain(int64_t batch_size, std::array<int, 3> dims, at::Device device) : dims_(dims) {
  const int64_t cells = int64_t{dims[0]} * dims[1] * dims[2];
  for (int64_t b = 0; b <= batch_size; ++b) offsets_.push_back(b * cells);
  // Worked out there: nothing is copied, so that the host does not wait.
  device_offsets_ = at::arange(batch_size + 1, at::TensorOptions().dtype(at::kLong).device(device)).mul_(cells);
}

at::Tensor VoxelDomain::Convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const {
  if (!is_dense()) return SparseConv3d(x, weight, neighbor_map_, Optional(bias));
  // In a dense box this is an ordinary zero-padded convolution over (x, y, z), so the weight's first
  // and last spatial axes change places.
  const at::Tensor volume =
      x.view({batch_size(), (*dims_)[0], (*dims_)[1], (*dims_)[2], x.size(1)}).permute({0, 4, 1, 2, 3});
  // Of the features' dtype and, on a GPU, channels last as they are.
  const at::MemoryFormat layout = x.is_cuda() ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Preserve;
  const at::Tensor kernel =
      weight.permute({0, 1, 4, 3, 2}).to(x.scalar_type(), /*non_blocking=*/false, /*copy=*/false, layout);
  const at::Tensor result = at::conv3d(volume, kernel, Optional(bias.defined() ? bias.to(x.scalar_type()) : bias),
                                       /*stride=*/{1, 1, 1}, /*padding=*/{1, 1, 1});
  return result.permute({0, 2, 3, 4, 1}).reshape({rows(), weight.size(0)});
}

at::Tensor VoxelCentres(const at::Tensor& ijk, const GridTransform& transform, at::ScalarType dtype) {
  std::vector<at::Tensor> axes;
  for (int d = 0; d < 3; ++d) {
    axes.push_back(ijk.select(1, d).to(at::kDouble) * transform.voxel_size[d] + transform.origin[d]);
  }
  return at::stack(axes, 1).to(dtype);
}

}  // namespace cubist
