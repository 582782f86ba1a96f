// The class of each voxel by a vote of the points inside it.
#ifndef CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_H_
#define CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/view.h"
#include "kernels/voxel_grid/grid_transform.h"
#include "kernels/voxel_grid/host_grid.h"

namespace cubist {

// Classes that VoteLabelsCpu takes.
inline constexpr int64_t kMaxVoteClasses = 1 << 16;

// voted[n] = the most frequent label among the points in voxel n; ties go to the smallest label. Points are looked up
// with `rounding`; one that falls into no active voxel has no vote. A voxel without votes gets the smallest label among
// all points of its sample (reference: voxel_util.py, argmax over the ascending classes of the sample).
//   points: float32 [M, 3], metres; sample b has rows [offsets[b], offsets[b+1]).  labels: [M] in [0, num_classes).
//   voted: [N].
// DataError: a label out of range, a point that is not finite, a sample with voxels but no points. InternalError:
// lengths that do not fit, num_classes outside [1, kMaxVoteClasses].
absl::Status VoteLabelsCpu(const VoxelGridView& grid, View<const float, 2> points, View<const int32_t, 1> labels,
                           const std::vector<int64_t>& host_offsets, int64_t num_classes, TieRounding rounding,
                           View<int64_t, 1> voted);

}  // namespace cubist

#endif  // CUBIST_KERNELS_LABEL_VOTE_LABEL_VOTE_H_
