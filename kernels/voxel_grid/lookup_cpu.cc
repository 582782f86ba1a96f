#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/voxel_grid/lookup.h"
#include "kernels/voxel_grid/sample_blocks.h"

namespace cubist {
namespace {

constexpr int64_t kRowsPerBlock = 1 << 14;

}  // namespace

absl::Status LookupCpu(const VoxelGridView& grid, View<const int32_t, 2> ijk, const std::vector<int64_t>& host_offsets,
                       View<int64_t, 1> row) {
  RETURN_IF_ERROR(CheckQueryOffsets(host_offsets, ijk.shape[0], grid.batch_size(), "Lookup"));
  ForEachSampleBlock(host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) row(m) = FindRow(grid.leaves, sample, ijk(m, 0), ijk(m, 1), ijk(m, 2));
  });
  return absl::OkStatus();
}

void DenseIndexCpu(const VoxelGridView& grid, const std::array<int, 3>& ijk_min, const std::array<int, 3>& dims,
                   View<int64_t, 1> index) {
  ForEachSampleBlock(grid.host_offsets, kRowsPerBlock, [&](int64_t sample, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t flat = sample;
      for (int axis = 0; axis < 3 && flat >= 0; ++axis) {
        const int64_t cell = int64_t{grid.ijk(row, axis)} - ijk_min[axis];
        flat = cell >= 0 && cell < dims[axis] ? flat * dims[axis] + cell : -1;
      }
      index(row) = flat;
    }
  });
}

}  // namespace cubist
