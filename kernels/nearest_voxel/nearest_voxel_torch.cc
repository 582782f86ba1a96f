#include "kernels/nearest_voxel/nearest_voxel_torch.h"

#include <ATen/ops/empty.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/nearest_voxel/lattices.h"
#include "kernels/nearest_voxel/nearest_voxel.h"
#include "kernels/nearest_voxel/nearest_voxel_cuda.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {

absl::StatusOr<at::Tensor> NearestVoxel(const VoxelGrid& reference, const VoxelGrid& query) {
  RETURN_IF_ERROR(CheckGrid(reference, "NearestVoxel"));
  const at::Device device = reference.ijk.device();
  RETURN_IF_ERROR(CheckGrid(query, "NearestVoxel", device));
  if (reference.batch_size() != query.batch_size()) {
    return InternalError(absl::StrCat("NearestVoxel: ", reference.batch_size(), " samples of reference, ",
                                      query.batch_size(), " of query"));
  }
  const at::TensorOptions options = at::TensorOptions().device(device);
  at::Tensor nearest = at::empty({query.num_voxels()}, options.dtype(at::kLong));
  if (device.is_cpu()) {
    RETURN_IF_ERROR(NearestVoxelCpu(reference.View(), query.View(), ViewOf<int64_t, 1>(nearest)));
    return nearest;
  }
  at::Tensor workspace = at::empty({reference.leaf_base.size(0)}, options.dtype(at::kInt));
  CheckCuda(NearestVoxelCuda(reference.View().leaves, reference.offsets.const_data_ptr<int64_t>(), query.View().leaves,
                             Lattices(reference.transform, query.transform),
                             reinterpret_cast<uint32_t*>(workspace.mutable_data_ptr<int32_t>()),
                             nearest.mutable_data_ptr<int64_t>(), CurrentStream(nearest)),
            "NearestVoxel");
  return nearest;
}

}  // namespace cubist
