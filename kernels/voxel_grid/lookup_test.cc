#include "kernels/voxel_grid/lookup.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/parallel_for.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/voxel_grid/grid_test_util.h"
#include "kernels/voxel_grid/neighbor_map.h"

namespace cubist {
namespace {

std::vector<int64_t> LookUp(const HostVoxelGrid& grid, const Samples& queries) {
  const Flat flat(queries);
  std::vector<int64_t> rows(flat.values.size() / 3);
  const absl::Status status = LookupCpu(grid.View(), flat.view(), flat.offsets,
                                        View<int64_t, 1>(rows.data(), {static_cast<int64_t>(rows.size())}));
  EXPECT_TRUE(status.ok()) << status;
  return rows;
}

TEST(LookupTest, FindsActiveVoxelsAndNothingElse) {
  std::mt19937_64 random(2);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (const Samples& samples : TestBatches(seed)) {
      const std::vector<RowMap> oracle = RowsOracle(samples);
      Samples queries = samples;
      const int32_t least = std::numeric_limits<int32_t>::min(), most = std::numeric_limits<int32_t>::max();
      for (auto& sample : queries) {
        // Beside every voxel, around the origin, and anywhere at all.
        const std::vector<Ijk> voxels = sample;
        for (const Ijk& ijk : voxels) sample.push_back({ijk[0] + 1, ijk[1], ijk[2] - 1});
        for (const Ijk& ijk : RandomIjk(random, 200, {-20, -20, -20}, {20, 20, 20})) sample.push_back(ijk);
        for (const Ijk& ijk : RandomIjk(random, 50, {least, least, least}, {most, most, most})) sample.push_back(ijk);
        sample.push_back({least, least, least});
        sample.push_back({most, most, most});
        std::shuffle(sample.begin(), sample.end(), random);
      }
      std::vector<int64_t> expected;
      for (size_t b = 0; b < queries.size(); ++b) {
        for (const Ijk& ijk : queries[b]) {
          const auto found = oracle[b].find(ijk);
          expected.push_back(found == oracle[b].end() ? -1 : found->second);
        }
      }
      EXPECT_EQ(LookUp(GridOf(samples), queries), expected);
    }
  }
}

TEST(LookupTest, RefusesABatchOfAnotherSize) {
  const HostVoxelGrid grid = GridOf({{{0, 0, 0}}, {}});
  const int32_t query[3] = {0, 0, 0};
  int64_t row;
  const View<const int32_t, 2> ijk(query, {1, 3});
  EXPECT_EQ(ExitCodeOf(LookupCpu(grid.View(), ijk, {0, 1}, View<int64_t, 1>(&row, {1}))), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(LookupCpu(grid.View(), ijk, {0, 1, 2}, View<int64_t, 1>(&row, {1}))), ExitCode::kInternal);
}

TEST(DenseIndexTest, IsTheCellOfAVolume) {
  for (const Samples& samples : TestBatches(4)) {
    const HostVoxelGrid grid = GridOf(samples);
    const std::array<int, 3> corner = {-8, -7, -3}, dims = {17, 12, 9};
    std::vector<int64_t> index(grid.num_voxels());
    DenseIndexCpu(grid.View(), corner, dims, View<int64_t, 1>(index.data(), {grid.num_voxels()}));
    size_t row = 0;
    const Samples rows = RowsOf(grid);
    for (size_t b = 0; b < rows.size(); ++b) {
      for (const Ijk& ijk : rows[b]) {
        const int64_t x = ijk[0] + 8, y = ijk[1] + 7, z = ijk[2] + 3;
        const bool inside = x >= 0 && x < 17 && y >= 0 && y < 12 && z >= 0 && z < 9;
        EXPECT_EQ(index[row++], inside ? ((static_cast<int64_t>(b) * 17 + x) * 12 + y) * 9 + z : -1);
      }
    }
  }
}

TEST(NeighborMapTest, MatchesLookingUpEveryNeighbour) {
  for (const int threads : {1, 3}) {
    SetParallelThreads(threads);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      for (const Samples& samples : TestBatches(seed)) {
        const HostVoxelGrid grid = GridOf(samples);
        const int64_t count = grid.num_voxels();
        std::vector<int32_t> map(27 * count, -7);
        NeighborMapCpu(grid.View(), View<int32_t, 2>(map.data(), {27, count}));
        const std::vector<RowMap> oracle = RowsOracle(samples);
        for (const RowMap& rows : oracle) {
          for (const auto& [ijk, row] : rows) {
            int tap = 0;
            for (int dx = -1; dx <= 1; ++dx) {
              for (int dy = -1; dy <= 1; ++dy) {
                for (int dz = -1; dz <= 1; ++dz, ++tap) {
                  const auto found = rows.find({ijk[0] + dx, ijk[1] + dy, ijk[2] + dz});
                  ASSERT_EQ(map[tap * count + row], found == rows.end() ? -1 : found->second)
                      << "voxel " << ijk[0] << " " << ijk[1] << " " << ijk[2] << ", tap " << tap;
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(NeighborMapTest, WorksAtTheOutermostCoordinates) {
  const HostVoxelGrid grid = GridOf({{{kMaxCoordinate, kMaxCoordinate, kMaxCoordinate}}, {{-kMaxCoordinate, 0, 0}}});
  std::vector<int32_t> map(54);
  NeighborMapCpu(grid.View(), View<int32_t, 2>(map.data(), {27, 2}));
  for (int tap = 0; tap < 27; ++tap) {
    EXPECT_EQ(map[2 * tap], tap == 13 ? 0 : -1);
    EXPECT_EQ(map[2 * tap + 1], tap == 13 ? 1 : -1);
  }
}

}  // namespace
}  // namespace cubist
