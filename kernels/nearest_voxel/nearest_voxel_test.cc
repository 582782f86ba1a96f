#include "kernels/nearest_voxel/nearest_voxel.h"

#include <cmath>
#include <random>
#include <vector>

#include "base/parallel_for.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "kernels/voxel_grid/grid_test_util.h"

namespace cubist {
namespace {

std::vector<int64_t> Nearest(const HostVoxelGrid& reference, const HostVoxelGrid& query) {
  std::vector<int64_t> nearest(query.num_voxels(), -9);
  const absl::Status status =
      NearestVoxelCpu(reference.View(), query.View(), View<int64_t, 1>(nearest.data(), {query.num_voxels()}));
  EXPECT_TRUE(status.ok()) << status;
  return nearest;
}

// Every pair, in integers: centres in units of 1/40 m, which all transforms of these tests are multiples of.
std::vector<int64_t> BruteForce(const HostVoxelGrid& reference, const HostVoxelGrid& query) {
  const auto centre = [](const HostVoxelGrid& grid, const Ijk& ijk, int axis) {
    const int64_t size = std::llround(grid.transform.voxel_size[axis] * 40);
    const int64_t origin = std::llround(grid.transform.origin[axis] * 40);
    return ijk[axis] * size + origin;
  };
  std::vector<int64_t> result;
  const Samples references = RowsOf(reference), queries = RowsOf(query);
  int64_t first_row = 0;
  for (size_t b = 0; b < queries.size(); ++b) {
    for (const Ijk& at : queries[b]) {
      int64_t best = -1, best_distance = 0;
      for (size_t n = 0; n < references[b].size(); ++n) {
        int64_t distance = 0;
        for (int axis = 0; axis < 3; ++axis) {
          const int64_t difference = centre(query, at, axis) - centre(reference, references[b][n], axis);
          distance += difference * difference;
        }
        if (best < 0 || distance < best_distance) {
          best = static_cast<int64_t>(n);
          best_distance = distance;
        }
      }
      result.push_back(best < 0 ? -1 : first_row + best);
    }
    first_row += static_cast<int64_t>(references[b].size());
  }
  return result;
}

const GridTransform kFine = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

TEST(NearestVoxelTest, MatchesBruteForceOnOneLattice) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 30; ++round) {
    const int32_t span = 2 + static_cast<int32_t>(random() % 40);
    Samples reference, query;
    for (int b = 0; b < 3; ++b) {
      reference.push_back(RandomIjk(random, 1 + random() % 300, {-span, -span, -span}, {span, span, span / 2}));
      query.push_back(RandomIjk(random, random() % 400, {-30, -30, -30}, {30, 20, 30}));
    }
    const HostVoxelGrid a = GridOf(reference, kFine), b = GridOf(query, kFine);
    EXPECT_EQ(Nearest(a, b), BruteForce(a, b));
  }
}

TEST(NearestVoxelTest, MatchesBruteForceOnTestBatches) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    for (const Samples& samples : TestBatches(seed)) {
      std::mt19937_64 random(seed);
      Samples queries;
      for (const std::vector<Ijk>& sample : samples) {
        const Ijk middle = sample.empty() ? Ijk{0, 0, 0} : sample[0];
        queries.push_back(RandomIjk(random, 150, {middle[0] - 90, middle[1] - 20, middle[2] - 20},
                                    {middle[0] + 20, middle[1] + 20, middle[2] + 90}));
        for (size_t n = 0; n < sample.size(); n += 5) {
          queries.back().push_back({sample[n][0] + 2, sample[n][1], sample[n][2]});
        }
      }
      const HostVoxelGrid a = GridOf(samples, kFine), b = GridOf(queries, kFine);
      EXPECT_EQ(Nearest(a, b), BruteForce(a, b));
      EXPECT_EQ(Nearest(b, a), BruteForce(b, a));
    }
  }
}

TEST(NearestVoxelTest, TiesGoToTheSmallestRow) {
  // Twelve voxels at equal distance from (0, 0, 0), on all its sides and in different leaves and root tiles; the first
  // in canonical order has the least root tile.
  std::vector<Ijk> ring;
  for (const int32_t a : {-5, 5}) {
    for (const int32_t b : {-3, 3}) {
      ring.push_back({a, b, 0});
      ring.push_back({a, 0, b});
      ring.push_back({0, a, b});
    }
  }
  const HostVoxelGrid reference = GridOf({ring}, kFine);
  const HostVoxelGrid query = GridOf({{{0, 0, 0}}}, kFine);
  EXPECT_EQ(Nearest(reference, query), std::vector<int64_t>{0});
  // Lattices where everything ties often: all voxels of a checkerboard.
  Samples board(1), holes(1);
  for (int32_t i = -10; i < 10; ++i) {
    for (int32_t j = -10; j < 10; ++j) {
      for (int32_t k = -10; k < 10; ++k) (((i + j + k) & 3) == 0 ? board : holes)[0].push_back({i, j, k});
    }
  }
  const HostVoxelGrid a = GridOf(board, kFine), b = GridOf(holes, kFine);
  EXPECT_EQ(Nearest(a, b), BruteForce(a, b));
}

TEST(NearestVoxelTest, MetresCountWhenVoxelsAreNotCubes) {
  // 0.4 x 0.4 x 0.2 m: two steps along z are as long as one along x.
  const GridTransform flat = {{0.4, 0.4, 0.2}, {0.2, 0.2, 0.1}};
  std::mt19937_64 random(3);
  for (int round = 0; round < 10; ++round) {
    const HostVoxelGrid a = GridOf({RandomIjk(random, 100, {-20, -20, -20}, {20, 20, 20})}, flat);
    const HostVoxelGrid b = GridOf({RandomIjk(random, 500, {-25, -25, -25}, {25, 25, 25})}, flat);
    EXPECT_EQ(Nearest(a, b), BruteForce(a, b));
  }
}

TEST(NearestVoxelTest, AcrossLattices) {
  const GridTransform coarse = kFine.Coarsened({2, 2, 2});
  const GridTransform flat = kFine.Coarsened({4, 4, 2});
  const GridTransform elsewhere = {{0.25, 0.3, 0.35}, {10.025, -3.1, 0.4}};
  std::mt19937_64 random(5);
  for (const auto& [of_reference, of_query] :
       {std::pair(kFine, coarse), std::pair(coarse, kFine), std::pair(kFine, flat), std::pair(flat, kFine)}) {
    for (int round = 0; round < 5; ++round) {
      const HostVoxelGrid a = GridOf({RandomIjk(random, 300, {-20, -20, -20}, {20, 20, 20})}, of_reference);
      const HostVoxelGrid b = GridOf({RandomIjk(random, 300, {-20, -20, -20}, {20, 20, 20})}, of_query);
      EXPECT_EQ(Nearest(a, b), BruteForce(a, b));
    }
  }
  // No common lattice: double rounding may decide a tie, so distances are compared instead of rows.
  for (const auto& [of_reference, of_query] : {std::pair(kFine, elsewhere), std::pair(elsewhere, kFine)}) {
    const HostVoxelGrid a = GridOf({RandomIjk(random, 300, {-20, -20, -20}, {20, 20, 20})}, of_reference);
    const HostVoxelGrid b = GridOf({RandomIjk(random, 300, {-20, -20, -20}, {20, 20, 20})}, of_query);
    const std::vector<int64_t> found = Nearest(a, b), expected = BruteForce(a, b);
    const auto distance = [&](int64_t query, int64_t reference) {
      double sum = 0;
      for (int axis = 0; axis < 3; ++axis) {
        const double q =
            b.ijk.data<int32_t>()[3 * query + axis] * b.transform.voxel_size[axis] + b.transform.origin[axis];
        const double r =
            a.ijk.data<int32_t>()[3 * reference + axis] * a.transform.voxel_size[axis] + a.transform.origin[axis];
        sum += (q - r) * (q - r);
      }
      return sum;
    };
    for (size_t n = 0; n < found.size(); ++n) {
      EXPECT_NEAR(distance(n, found[n]), distance(n, expected[n]), 1e-9);
    }
  }
}

TEST(NearestVoxelTest, FarAwayAndOutermost) {
  const HostVoxelGrid reference = GridOf({{{kMaxCoordinate, 0, 0}}, {{3, 3, 3}, {5, 3, 3}}}, kFine);
  const HostVoxelGrid query = GridOf({{{-kMaxCoordinate, 1, 0}}, {{kMaxCoordinate, 0, 0}}}, kFine);
  EXPECT_EQ(Nearest(reference, query), (std::vector<int64_t>{0, 2}));
}

TEST(NearestVoxelTest, DoesNotDependOnThreads) {
  std::mt19937_64 random(8);
  const HostVoxelGrid a = GridOf(
      {RandomIjk(random, 3000, {-90, -90, -5}, {90, 90, 5}), {}, RandomIjk(random, 10, {0, 0, 0}, {9, 9, 9})}, kFine);
  const HostVoxelGrid b = GridOf({RandomIjk(random, 20000, {-99, -99, -40}, {99, 99, 40}), {{1, 2, 3}}, {}}, kFine);
  SetParallelThreads(1);
  const std::vector<int64_t> one = Nearest(a, b);
  SetParallelThreads(4);
  EXPECT_EQ(Nearest(a, b), one);
  EXPECT_EQ(one.back(), -1);
}

TEST(NearestVoxelTest, RefusesBatchesOfDifferentSizes) {
  const HostVoxelGrid one = GridOf({{}}), two = GridOf({{}, {}});
  EXPECT_EQ(ExitCodeOf(NearestVoxelCpu(one.View(), two.View(), View<int64_t, 1>(nullptr, {0}))), ExitCode::kInternal);
}

}  // namespace
}  // namespace cubist
