// Voxels on the surface of a triangle mesh (fVDB's gridbatch_from_mesh).
#ifndef CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_H_
#define CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "base/view.h"
#include "kernels/voxel_grid/grid_transform.h"

namespace cubist {

// How a triangle is sampled: count_u x count_v points along its edges e1 and e2, in voxel units:
// ceil((|e| + s) / s) with s = sqrt(3)/3 (fVDB 0.2.0).
struct TriangleLattice {
  int64_t count_u = 0;
  int64_t count_v = 0;
};
TriangleLattice LatticeOf(const std::array<float, 3>& edge1, const std::array<float, 3>& edge2);

// Samples that a triangle may take: 7,000 voxels along both edges.
inline constexpr int64_t kMaxSamplesPerTriangle = int64_t{1} << 27;

// The unique voxels, int32 [K, 3] in canonical order (leaf_table.h), that surface samples fall into. Samples of
// triangle (v1, v2, v3) in voxel units are v1 + u*(v2-v1) + v*(v3-v1) with u = i/max(count_u-1, 1), v =
// j/max(count_v-1, 1); a pair with u + v >= 1 is taken as (1-u, 1-v). Each goes to floor(sample + 0.5). All in float.
//   vertices: float32 [V, 3], metres.  faces: int32 [F, 3].
// DataError: a face names no vertex, a vertex of a face is not finite or beyond kMaxCoordinate, a triangle needs more
// than kMaxSamplesPerTriangle samples, or the voxels span more than kMaxDirectoryCells.
absl::StatusOr<HostTensor> MeshVoxelsCpu(View<const float, 2> vertices, View<const int32_t, 2> faces,
                                         const GridTransform& transform);

}  // namespace cubist

#endif  // CUBIST_KERNELS_MESH_VOXELS_MESH_VOXELS_H_
