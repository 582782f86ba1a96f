#include "kernels/mesh_voxels/mesh_voxels_torch.h"

#include "base/status.h"
#include "kernels/mesh_voxels/mesh_voxels.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/tensor_bridge.h"

namespace cubist {

absl::StatusOr<at::Tensor> MeshVoxels(const at::Tensor& vertices, const at::Tensor& faces,
                                      const GridTransform& transform) {
  RETURN_IF_ERROR(CheckCpuTensor(vertices, "MeshVoxels", "vertices", at::kFloat, {-1, 3}));
  RETURN_IF_ERROR(CheckCpuTensor(faces, "MeshVoxels", "faces", at::kInt, {-1, 3}));
  ASSIGN_OR_RETURN(const HostTensor ijk,
                   MeshVoxelsCpu(ViewOf<const float, 2>(vertices), ViewOf<const int32_t, 2>(faces), transform));
  return TensorOf(ijk);
}

}  // namespace cubist
