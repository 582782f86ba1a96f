#include "kernels/voxel_grid/change_grid.h"

#include <cmath>
#include <memory>
#include <set>

#include "base/parallel_for.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/voxel_grid/grid_test_util.h"

namespace cubist {
namespace {

using Factor = std::array<int, 3>;

const Factor kFactors[] = {{1, 1, 1}, {2, 2, 1}, {2, 2, 2}, {4, 4, 2}, {3, 5, 2}, {8, 8, 8}, {1, 16, 1}, {9, 1, 20}};

int32_t Floor(int32_t value, int factor) {
  return static_cast<int32_t>(std::floor(static_cast<double>(value) / factor));
}

struct Keep {
  std::unique_ptr<bool[]> values;
  int64_t size;
  explicit Keep(int64_t count) : values(new bool[count]), size(count) {}
  View<const bool, 1> view() const { return {values.get(), {size}}; }
};

Keep RandomKeep(std::mt19937_64& random, int64_t count, double probability) {
  Keep keep(count);
  for (int64_t n = 0; n < count; ++n)
    keep.values[n] = std::uniform_real_distribution<double>(0, 1)(random) < probability;
  return keep;
}

std::vector<int64_t> Values(const HostTensor& parent) {
  return {parent.data<int64_t>(), parent.data<int64_t>() + parent.size()};
}

TEST(CoarsenTest, MatchesASetOfFlooredCoordinates) {
  for (const Samples& samples : TestBatches(21)) {
    const HostVoxelGrid fine = GridOf(samples, {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}});
    for (const Factor& factor : kFactors) {
      Samples coarse = RowsOf(fine);
      for (auto& sample : coarse) {
        for (Ijk& ijk : sample) {
          for (int axis = 0; axis < 3; ++axis) ijk[axis] = Floor(ijk[axis], factor[axis]);
        }
      }
      const absl::StatusOr<HostGridAndParents> result = CoarsenCpu(fine.View(), factor);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(RowsOf(result->grid), Canonical(coarse));
      EXPECT_EQ(result->grid.transform, fine.transform.Coarsened(factor));
      const std::vector<RowMap> rows = RowsOracle(coarse);
      std::vector<int64_t> parents;
      for (size_t b = 0; b < coarse.size(); ++b) {
        for (const Ijk& ijk : coarse[b]) parents.push_back(rows[b].at(ijk));
      }
      EXPECT_EQ(Values(result->parent), parents);
    }
  }
}

TEST(SubdivideTest, MatchesAListOfChildren) {
  std::mt19937_64 random(31);
  for (const Samples& samples : TestBatches(22)) {
    const HostVoxelGrid coarse = GridOf(samples, {{0.8, 0.8, 0.4}, {0.4, 0.4, 0.2}});
    for (const Factor& factor : kFactors) {
      if (coarse.num_voxels() * factor[0] * factor[1] * factor[2] > 300000) continue;
      const Keep keep = RandomKeep(random, coarse.num_voxels(), 0.6);
      Samples children(samples.size());
      std::vector<std::map<Ijk, int64_t, CanonicalLess>> parent_of(samples.size());
      int64_t row = 0;
      const Samples parents = RowsOf(coarse);
      for (size_t b = 0; b < parents.size(); ++b) {
        for (const Ijk& ijk : parents[b]) {
          if (keep.values[row]) {
            for (int32_t x = 0; x < factor[0]; ++x) {
              for (int32_t y = 0; y < factor[1]; ++y) {
                for (int32_t z = 0; z < factor[2]; ++z) {
                  const Ijk child = {ijk[0] * factor[0] + x, ijk[1] * factor[1] + y, ijk[2] * factor[2] + z};
                  children[b].push_back(child);
                  parent_of[b][child] = row;
                }
              }
            }
          }
          ++row;
        }
      }
      const absl::StatusOr<HostGridAndParents> result = SubdivideCpu(coarse.View(), factor, keep.view());
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(RowsOf(result->grid), Canonical(children));
      EXPECT_EQ(result->grid.transform, coarse.transform.Subdivided(factor));
      std::vector<int64_t> expected;
      for (const auto& sample : parent_of) {
        for (const auto& entry : sample) expected.push_back(entry.second);
      }
      EXPECT_EQ(Values(result->parent), expected);
    }
  }
}

TEST(SubdivideTest, KeepsNothingAndEverything) {
  std::mt19937_64 random(1);
  for (const Samples& samples : TestBatches(23)) {
    const HostVoxelGrid grid = GridOf(samples);
    const absl::StatusOr<HostGridAndParents> nothing =
        SubdivideCpu(grid.View(), {2, 2, 2}, RandomKeep(random, grid.num_voxels(), 0).view());
    ASSERT_TRUE(nothing.ok());
    EXPECT_EQ(nothing->grid.num_voxels(), 0);
    EXPECT_EQ(nothing->grid.batch_size(), grid.batch_size());
    EXPECT_EQ(nothing->parent.size(), 0);
    const absl::StatusOr<HostGridAndParents> everything =
        SubdivideCpu(grid.View(), {1, 1, 1}, RandomKeep(random, grid.num_voxels(), 2).view());
    ASSERT_TRUE(everything.ok());
    EXPECT_EQ(RowsOf(everything->grid), RowsOf(grid));
    for (int64_t n = 0; n < grid.num_voxels(); ++n) EXPECT_EQ(everything->parent.data<int64_t>()[n], n);
  }
}

TEST(SubdivideTest, ThenCoarsenedIsTheSameGrid) {
  for (const Samples& samples : TestBatches(24)) {
    const HostVoxelGrid grid = GridOf(samples);
    Keep keep(grid.num_voxels());
    std::fill_n(keep.values.get(), keep.size, true);
    for (const Factor& factor : {Factor{2, 2, 1}, Factor{2, 2, 2}, Factor{3, 2, 5}}) {
      const absl::StatusOr<HostGridAndParents> fine = SubdivideCpu(grid.View(), factor, keep.view());
      ASSERT_TRUE(fine.ok());
      EXPECT_EQ(fine->grid.num_voxels(), grid.num_voxels() * factor[0] * factor[1] * factor[2]);
      const absl::StatusOr<HostGridAndParents> back = CoarsenCpu(fine->grid.View(), factor);
      ASSERT_TRUE(back.ok());
      EXPECT_EQ(RowsOf(back->grid), RowsOf(grid));
      // The same parents from both directions.
      EXPECT_EQ(Values(back->parent), Values(fine->parent));
    }
  }
}

TEST(ChangeGridTest, DoesNotDependOnThreads) {
  std::mt19937_64 random(9);
  const HostVoxelGrid grid = GridOf(
      {RandomIjk(random, 40000, {-60, -60, -20}, {60, 60, 20}), RandomIjk(random, 999, {0, 0, 0}, {30, 30, 30})});
  const Keep keep = RandomKeep(random, grid.num_voxels(), 0.5);
  std::vector<Samples> rows;
  std::vector<std::vector<int64_t>> parents;
  for (const int threads : {1, 4}) {
    SetParallelThreads(threads);
    const absl::StatusOr<HostGridAndParents> coarse = CoarsenCpu(grid.View(), {2, 2, 1});
    const absl::StatusOr<HostGridAndParents> fine = SubdivideCpu(grid.View(), {2, 2, 2}, keep.view());
    ASSERT_TRUE(coarse.ok() && fine.ok());
    rows.push_back(RowsOf(coarse->grid));
    rows.push_back(RowsOf(fine->grid));
    parents.push_back(Values(coarse->parent));
    parents.push_back(Values(fine->parent));
  }
  EXPECT_EQ(rows[0], rows[2]);
  EXPECT_EQ(rows[1], rows[3]);
  EXPECT_EQ(parents[0], parents[2]);
  EXPECT_EQ(parents[1], parents[3]);
}

TEST(ChangeGridTest, RefusesWhatItCannotDo) {
  const HostVoxelGrid grid = GridOf({{{0, 0, 0}}, {{700000000, 1, 1}}});
  EXPECT_EQ(ExitCodeOf(CoarsenCpu(grid.View(), {2, 0, 1}).status()), ExitCode::kInternal);
  Keep keep(2);
  keep.values[0] = keep.values[1] = true;
  EXPECT_EQ(ExitCodeOf(SubdivideCpu(grid.View(), {0, 1, 1}, keep.view()).status()), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(SubdivideCpu(grid.View(), {1, 1, 1}, Keep(3).view()).status()), ExitCode::kInternal);
  const absl::Status far = SubdivideCpu(grid.View(), {2, 1, 1}, keep.view()).status();
  EXPECT_EQ(ExitCodeOf(far), ExitCode::kData);
  EXPECT_THAT(std::string(far.message()), ::testing::HasSubstr("beyond"));
  // The far voxel pruned away, the rest is fine.
  keep.values[1] = false;
  const absl::StatusOr<HostGridAndParents> near = SubdivideCpu(grid.View(), {2, 1, 1}, keep.view());
  ASSERT_TRUE(near.ok()) << near.status();
  EXPECT_EQ(near->grid.num_voxels(), 2);
}

}  // namespace
}  // namespace cubist
