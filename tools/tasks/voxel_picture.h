// Pictures of labelled voxels, drawn on the host.
#ifndef CUBIST_TOOLS_TASKS_VOXEL_PICTURE_H_
#define CUBIST_TOOLS_TASKS_VOXEL_PICTURE_H_

#include <array>

#include "base/host_tensor.h"

namespace cubist {

// Which cells a picture shows: `cells` of them along each axis, starting at `first`.
struct VoxelBox {
  std::array<int, 3> first;
  std::array<int, 3> cells;
};

// Voxels of one sample; x forward, y left, z up.
struct LabelledVoxels {
  HostTensor ijk = HostTensor(DType::kInt32, {0, 3});  // int32 [N, 3]
  HostTensor labels = HostTensor(DType::kInt32, {0});  // int32 [N], semantic classes
};

// Input on the left, reconstruction on the right; from top to bottom: cubes seen from behind the right
// shoulder, the bird's-eye view (forward is up), and upright slices along and across the direction of travel,
// an eighth of the box deep, where the input has most voxels. Voxels outside the box are left out. uint8 [H, W, 3].
HostTensor DrawComparison(const LabelledVoxels& input, const LabelledVoxels& reconstruction, const VoxelBox& box);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TASKS_VOXEL_PICTURE_H_
