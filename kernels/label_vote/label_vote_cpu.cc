// 1. Each point finds its voxel.
// 2. Votes are sorted by voxel (counting sort: positions from a running sum over the voxels).
// 3. Each voxel counts its own.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/label_vote/label_vote.h"
#include "kernels/voxel_grid/lookup.h"
#include "kernels/voxel_grid/sample_blocks.h"

namespace cubist {
namespace {

constexpr int64_t kVoxelsPerBlock = 1 << 12;

absl::Status CheckArguments(const VoxelGridView& grid, View<const float, 2> points, View<const int32_t, 1> labels,
                            const std::vector<int64_t>& host_offsets, int64_t num_classes, View<int64_t, 1> voted) {
  RETURN_IF_ERROR(CheckOffsets(host_offsets, points.shape[0], "VoteLabels"));
  if (labels.shape[0] != points.shape[0] || voted.shape[0] != grid.num_voxels()) {
    return InternalError(absl::StrCat("VoteLabels: ", labels.shape[0], " labels for ", points.shape[0], " points, ",
                                      voted.shape[0], " results for ", grid.num_voxels(), " voxels"));
  }
  if (num_classes < 1 || num_classes > kMaxVoteClasses) {
    return InternalError(absl::StrCat("VoteLabels: ", num_classes, " classes; 1 to ", kMaxVoteClasses, " are allowed"));
  }
  for (int64_t row = 0; row < labels.shape[0]; ++row) {
    if (labels(row) < 0 || labels(row) >= num_classes) {
      return DataError(
          absl::StrCat("VoteLabels: point ", row, " has label ", labels(row), "; labels are 0 to ", num_classes - 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VoteLabelsCpu(const VoxelGridView& grid, View<const float, 2> points, View<const int32_t, 1> labels,
                           const std::vector<int64_t>& host_offsets, int64_t num_classes, TieRounding rounding,
                           View<int64_t, 1> voted) {
  RETURN_IF_ERROR(CheckArguments(grid, points, labels, host_offsets, num_classes, voted));
  const int64_t count = points.shape[0];
  HostTensor ijk(DType::kInt32, {count, 3});
  HostTensor row_array(DType::kInt64, {count});
  RETURN_IF_ERROR(Annotate(VoxelsOfPoints(points, grid.transform, rounding, ijk.view<int32_t, 2>()), "VoteLabels"));
  RETURN_IF_ERROR(LookupCpu(grid, ijk.view<int32_t, 2>(), host_offsets, row_array.view<int64_t, 1>()));
  const int64_t* row = row_array.data<int64_t>();

  // Votes of voxel n end up at sorted[ends[n-1]] to sorted[ends[n]].
  std::vector<int64_t> ends(grid.num_voxels() + 1, 0);
  for (int64_t m = 0; m < count; ++m) {
    if (row[m] >= 0) ++ends[row[m] + 1];
  }
  for (int64_t n = 0; n < grid.num_voxels(); ++n) ends[n + 1] += ends[n];
  std::vector<int32_t> sorted(ends.back());
  // ends[n] is the next free place of voxel n while votes are placed, and its end afterwards.
  for (int64_t m = 0; m < count; ++m) {
    if (row[m] >= 0) sorted[ends[row[m]]++] = labels(m);
  }

  std::vector<int32_t> smallest(host_offsets.size() - 1);
  for (size_t sample = 0; sample < smallest.size(); ++sample) {
    const int64_t first = host_offsets[sample], last = host_offsets[sample + 1];
    if (first == last) {
      const int64_t voxels = grid.host_offsets[sample + 1] - grid.host_offsets[sample];
      if (voxels == 0) continue;
      return DataError(absl::StrCat("VoteLabels: sample ", sample, " has ", voxels, " voxels but no points"));
    }
    smallest[sample] = labels(first);
    for (int64_t m = first; m < last; ++m) smallest[sample] = std::min(smallest[sample], labels(m));
  }

  ForEachSampleBlock(grid.host_offsets, kVoxelsPerBlock, [&](int64_t sample, int64_t first, int64_t last) {
    std::vector<int32_t> votes(num_classes, 0);
    for (int64_t n = first; n < last; ++n) {
      const int64_t begin = n == 0 ? 0 : ends[n - 1];
      int32_t winner = smallest[sample];
      for (int64_t at = begin; at < ends[n]; ++at) ++votes[sorted[at]];
      for (int64_t at = begin; at < ends[n]; ++at) {
        const int32_t label = sorted[at];
        if (votes[label] > votes[winner] || (votes[label] == votes[winner] && label < winner)) winner = label;
      }
      for (int64_t at = begin; at < ends[n]; ++at) votes[sorted[at]] = 0;
      voted(n) = winner;
    }
  });
  return absl::OkStatus();
}

}  // namespace cubist
