// Where features live: the voxels of a sparse grid, or all cells of a dense box. In both cases
// features are rows [N, C], the rows of each sample together; only the 3x3x3 neighbourhood differs.
#ifndef CUBIST_MODELS_NN_VOXEL_DOMAIN_H_
#define CUBIST_MODELS_NN_VOXEL_DOMAIN_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {

class VoxelDomain {
 public:
  // The voxels of `grid`, rows in its canonical order. Builds the neighbour map once.
  static absl::StatusOr<VoxelDomain> Sparse(VoxelGrid grid);
  // All cells of `batch_size` boxes of extent dims = (X, Y, Z), for features on `device`: rows are [B, X, Y, Z, C],
  // dense, with z fastest, which is the channels-last layout of a dense convolution.
  VoxelDomain(int64_t batch_size, std::array<int, 3> dims, at::Device device = at::kCPU);

  bool is_dense() const { return dims_.has_value(); }
  // The sparse grid; only when not dense.
  const VoxelGrid& grid() const { return grid_; }
  // First row of each sample and, last, the number of rows: [B + 1].
  const std::vector<int64_t>& offsets() const { return offsets_; }
  // The same on the features' device: int64 [B + 1].
  const at::Tensor& device_offsets() const { return device_offsets_; }
  int64_t rows() const { return offsets_.back(); }
  int64_t batch_size() const { return static_cast<int64_t>(offsets_.size()) - 1; }

  // 3x3x3 cross-correlation with stride 1; absent neighbours count as zero. The axes of the weight
  // are those of a checkpoint: K0 along z, K1 along y, K2 along x (fVDB 0.2.0).
  //   x       [N, Cin], this domain's rows
  //   weight  [Cout, Cin, 3, 3, 3] of x's dtype, or float32 where x is bfloat16
  //   bias    [Cout] as weight, or undefined
  // Returns [N, Cout].
  at::Tensor Convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) const;

 private:
  VoxelDomain(VoxelGrid grid, at::Tensor neighbor_map);

  VoxelGrid grid_;
  at::Tensor neighbor_map_;  // int32 [27, N], sparse only
  std::optional<std::array<int, 3>> dims_;
  std::vector<int64_t> offsets_;
  at::Tensor device_offsets_;
};

// World positions of voxel centres in metres, computed in double.
//   ijk  int32 [N, 3].   Returns [N, 3] of `dtype`.
at::Tensor VoxelCentres(const at::Tensor& ijk, const GridTransform& transform, at::ScalarType dtype);

}  // namespace cubist

#endif  // CUBIST_MODELS_NN_VOXEL_DOMAIN_H_
