// Voxels on the surface of a triangle mesh, as tensors.
#ifndef CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_TORCH_H_
#define CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_TORCH_H_

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/grid_transform.h"

namespace cubist {

// The unique voxels, int32 [K, 3] in canonical order, that the surface samples of mesh_voxels.h fall into.
//   vertices: float32 [V, 3], metres.  faces: int32 [F, 3].  CPU; another device is a ConfigError.
// DataError: a face names no vertex, a vertex is not finite or too far away, or a triangle is too large to sample.
absl::StatusOr<at::Tensor> MeshVoxels(const at::Tensor& vertices, const at::Tensor& faces,
                                      const GridTransform& transform);

}  // namespace cubist

#endif  // CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_TORCH_H_
