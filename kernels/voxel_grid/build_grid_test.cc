#include "kernels/voxel_grid/build_grid.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/parallel_for.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/voxel_grid/grid_test_util.h"

namespace cubist {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// Each record of the leaf table against what its definition says of the rows.
void ExpectConsistentTable(const HostVoxelGrid& grid) {
  const LeafTableView table = grid.View().leaves;
  const int32_t* ijk = grid.ijk.data<int32_t>();
  int64_t row = 0;
  for (int64_t leaf = 0; leaf < table.num_leaves; ++leaf) {
    const int32_t* origin = table.origin + 4 * leaf;
    EXPECT_EQ(table.base[leaf], row);
    EXPECT_EQ(FindLeaf(table, origin[3], origin[0] >> 3, origin[1] >> 3, origin[2] >> 3), leaf);
    int64_t before = 0;
    for (int word = 0; word < 8; ++word) {
      const uint64_t prefix = word == 0 ? 0 : (table.prefix[leaf] >> (9 * (word - 1))) & 511;
      EXPECT_EQ(prefix, static_cast<uint64_t>(before));
      for (int bit = 0; bit < 64; ++bit) {
        if (((table.mask[8 * leaf + word] >> bit) & 1) == 0) continue;
        EXPECT_THAT(std::vector<int32_t>(ijk + 3 * row, ijk + 3 * row + 3),
                    ElementsAre(origin[0] + word, origin[1] + bit / 8, origin[2] + bit % 8));
        ++before;
        ++row;
      }
    }
    EXPECT_GT(before, 0) << "an empty leaf";
  }
  EXPECT_EQ(row, grid.num_voxels());
}

TEST(GridFromIjkTest, HoldsTheUniqueVoxelsInCanonicalOrder) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    for (const Samples& samples : TestBatches(seed)) {
      const HostVoxelGrid grid = GridOf(samples);
      EXPECT_EQ(RowsOf(grid), Canonical(samples));
      EXPECT_EQ(grid.batch_size(), static_cast<int64_t>(samples.size()));
      EXPECT_EQ(grid.offsets.size(), static_cast<int64_t>(samples.size()) + 1);
      ExpectConsistentTable(grid);
    }
  }
}

TEST(GridFromIjkTest, DoesNotDependOnInputOrderOrThreads) {
  std::mt19937_64 random(7);
  Samples samples = {RandomIjk(random, 60000, {-90, -90, -30}, {90, 90, 30}),
                     RandomIjk(random, 50000, {0, 0, 0}, {60, 60, 60})};
  SetParallelThreads(1);
  const HostVoxelGrid one = GridOf(samples);
  for (auto& sample : samples) std::shuffle(sample.begin(), sample.end(), random);
  SetParallelThreads(4);
  const HostVoxelGrid four = GridOf(samples);
  for (const auto& [a, b] : {std::pair(one.ijk, four.ijk), std::pair(one.leaf_mask, four.leaf_mask),
                             std::pair(one.leaf_prefix, four.leaf_prefix), std::pair(one.leaf_base, four.leaf_base),
                             std::pair(one.leaf_origin, four.leaf_origin), std::pair(one.directory, four.directory),
                             std::pair(one.directory_box, four.directory_box), std::pair(one.offsets, four.offsets)}) {
    ASSERT_EQ(a.shape(), b.shape());
    EXPECT_EQ(std::memcmp(a.bytes(), b.bytes(), a.byte_size()), 0);
  }
}

TEST(GridFromIjkTest, TakesStridedRows) {
  const int32_t columns[] = {5, -3,  5,   // i
                             1, -9,  1,   // j
                             2, 100, 2};  // k
  const absl::StatusOr<HostVoxelGrid> grid =
      GridFromIjkCpu(View<const int32_t, 2>(columns, {3, 3}, {1, 3}), {0, 3}, GridTransform());
  ASSERT_TRUE(grid.ok());
  EXPECT_THAT(RowsOf(*grid)[0], ElementsAre(Ijk{-3, -9, 100}, Ijk{5, 1, 2}));
}

TEST(GridFromIjkTest, AcceptsTheOutermostCoordinates) {
  const HostVoxelGrid grid = GridOf({{{kMaxCoordinate, -kMaxCoordinate, 0}}, {{-kMaxCoordinate, 3, kMaxCoordinate}}});
  EXPECT_THAT(RowsOf(grid)[0], ElementsAre(Ijk{kMaxCoordinate, -kMaxCoordinate, 0}));
  EXPECT_THAT(RowsOf(grid)[1], ElementsAre(Ijk{-kMaxCoordinate, 3, kMaxCoordinate}));
}

TEST(GridFromIjkTest, RefusesScenesThatSpanTooMuch) {
  const Flat flat({{{0, 0, 0}}, {{0, 0, 0}, {80000, 8000, 7992}}});
  const absl::Status status = GridFromIjkCpu(flat.view(), flat.offsets, GridTransform()).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("sample 1"), HasSubstr("80008 x 8008 x 8000")));

  const Flat widest(
      {{{kMaxCoordinate, kMaxCoordinate, kMaxCoordinate}, {-kMaxCoordinate, -kMaxCoordinate, -kMaxCoordinate}}});
  EXPECT_EQ(ExitCodeOf(GridFromIjkCpu(widest.view(), widest.offsets, GridTransform()).status()), ExitCode::kData);
}

TEST(GridFromIjkTest, RefusesCoordinatesOutOfRange) {
  for (const int32_t bad : {kMaxCoordinate + 1, -kMaxCoordinate - 1, std::numeric_limits<int32_t>::min()}) {
    const Flat flat({{{0, bad, 0}}});
    EXPECT_EQ(ExitCodeOf(GridFromIjkCpu(flat.view(), flat.offsets, GridTransform()).status()), ExitCode::kData);
  }
}

TEST(GridFromIjkTest, RefusesOffsetsAndTransformsThatMakeNoSense) {
  const Flat flat({{{0, 0, 0}, {1, 1, 1}}});
  for (const std::vector<int64_t>& offsets : {std::vector<int64_t>{}, {0}, {0, 1}, {1, 2}, {0, 3, 2}, {0, 2, 1, 2}}) {
    EXPECT_EQ(ExitCodeOf(GridFromIjkCpu(flat.view(), offsets, GridTransform()).status()), ExitCode::kInternal);
  }
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    GridTransform transform;
    transform.voxel_size[1] = bad;
    const absl::Status status = GridFromIjkCpu(flat.view(), {0, 2}, transform).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    EXPECT_THAT(Message(status), HasSubstr("axis 1"));
  }
}

// The table of spec/training.md 6.6 and 8.1: voxels of 0.2 m with origin 0.1 m.
struct TieCase {
  float x;
  int32_t created;    // half up
  int32_t looked_up;  // half to even
};
const TieCase kTieCases[] = {{0.0f, 0, 0}, {0.1f, 0, 0},    {0.2f, 1, 0},    {0.3f, 1, 1},    {0.4f, 2, 2},
                             {0.6f, 3, 2}, {-0.1f, -1, -1}, {-0.2f, -1, -2}, {-0.3f, -2, -2}, {-0.4f, -2, -2}};

TEST(VoxelsOfPointsTest, RoundsTiesAsTheTablesSay) {
  for (const GridTransform& transform : {kFifth, GridTransform{{0.2f, 0.2f, 0.2f}, {0.1f, 0.1f, 0.1f}}}) {
    for (const TieCase& tie : kTieCases) {
      for (int axis = 0; axis < 3; ++axis) {
        float point[3] = {0.1f, 0.1f, 0.1f};
        point[axis] = tie.x;
        int32_t up[3], even[3];
        const View<const float, 2> points(point, {1, 3});
        ASSERT_TRUE(VoxelsOfPoints(points, transform, TieRounding::kHalfUp, View<int32_t, 2>(up, {1, 3})).ok());
        ASSERT_TRUE(VoxelsOfPoints(points, transform, TieRounding::kHalfToEven, View<int32_t, 2>(even, {1, 3})).ok());
        EXPECT_EQ(up[axis], tie.created) << tie.x;
        EXPECT_EQ(even[axis], tie.looked_up) << tie.x;
        EXPECT_EQ(up[(axis + 1) % 3], 0);
      }
    }
  }
}

TEST(VoxelsOfPointsTest, MultipliesAndAddsWithoutFusing) {
  // x * s + t in two roundings and in one differ for many floats; count that we are on the side of two.
  const GridTransform transform = {{0.3, 0.7, 1.1}, {0.15, 0.35, 0.55}};
  std::mt19937_64 random(3);
  std::uniform_real_distribution<float> place(-50, 50);
  int differing = 0;
  for (int n = 0; n < 20000; ++n) {
    const float point[3] = {place(random), place(random), place(random)};
    float g[3];
    PointsInVoxelUnits(View<const float, 2>(point, {1, 3}), transform, View<float, 2>(g, {1, 3}));
    for (int axis = 0; axis < 3; ++axis) {
      const float scale = static_cast<float>(1.0 / transform.voxel_size[axis]);
      const float shift = static_cast<float>(-transform.origin[axis] / transform.voxel_size[axis]);
      // A product of floats is exact in double; the volatile rounds it to float by itself.
      const volatile float product = static_cast<float>(static_cast<double>(point[axis]) * scale);
      EXPECT_EQ(g[axis], product + shift);
      differing += std::fma(point[axis], scale, shift) != product + shift;
    }
  }
  EXPECT_GT(differing, 100) << "the case tests nothing";
}

TEST(GridFromPointsTest, HoldsTheVoxelsOfThePoints) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<float> place(-8, 8);
  std::vector<float> points(3 * 5000);
  for (float& x : points) x = place(random);
  const std::vector<int64_t> offsets = {0, 2000, 2000, 5000};
  const absl::StatusOr<HostVoxelGrid> grid =
      GridFromPointsCpu(View<const float, 2>(points.data(), {5000, 3}), offsets, kFifth);
  ASSERT_TRUE(grid.ok()) << grid.status();
  Samples expected(3);
  for (int64_t n = 0; n < 5000; ++n) {
    Ijk ijk;
    for (int axis = 0; axis < 3; ++axis) {
      // For w = 0.2 and origin 0.1: scale 5, shift -0.5, in float.
      const volatile float product = points[3 * n + axis] * 5.0f;
      const volatile float g = product - 0.5f;
      ijk[axis] = static_cast<int32_t>(std::floor(g + 0.5f));
    }
    expected[n < 2000 ? 0 : 2].push_back(ijk);
  }
  EXPECT_EQ(RowsOf(*grid), Canonical(expected));
  EXPECT_EQ(grid->transform, kFifth);
}

TEST(GridFromPointsTest, NamesTheFirstPointWithoutAVoxel) {
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 1e30f, -3e9f}) {
    std::vector<float> points(3 * 40000, 0.5f);
    points[3 * 20001 + 2] = bad;
    points[3 * 39000] = bad;
    const absl::Status status =
        GridFromPointsCpu(View<const float, 2>(points.data(), {40000, 3}), {0, 40000}, kFifth).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
    EXPECT_THAT(Message(status), HasSubstr("row 20001 "));
  }
}

TEST(GridFromDenseMaskTest, HoldsTheTrueCells) {
  std::mt19937_64 random(5);
  for (const double density : {0.0, 0.001, 0.5, 1.0}) {
    for (const Ijk& corner : {Ijk{0, 0, 0}, Ijk{-32, -5, -1}, Ijk{3, -4097, 127}}) {
      const std::array<int64_t, 4> shape = {3, 17, 9, 12};
      std::vector<uint8_t> cells(3 * 17 * 9 * 12);
      Samples expected(3);
      for (size_t n = 0; n < cells.size(); ++n) {
        const int64_t b = n / (17 * 9 * 12);
        cells[n] = b != 1 && std::uniform_real_distribution<double>(0, 1)(random) < density;
        if (!cells[n]) continue;
        expected[b].push_back({corner[0] + static_cast<int32_t>(n / (9 * 12) % 17),
                               corner[1] + static_cast<int32_t>(n / 12 % 9), corner[2] + static_cast<int32_t>(n % 12)});
      }
      const View<const bool, 4> mask(reinterpret_cast<const bool*>(cells.data()), shape);
      const absl::StatusOr<HostVoxelGrid> grid = GridFromDenseMaskCpu(mask, corner, kFifth);
      ASSERT_TRUE(grid.ok()) << grid.status();
      EXPECT_EQ(RowsOf(*grid), Canonical(expected));
      ExpectConsistentTable(*grid);
    }
  }
}

TEST(GridFromDenseMaskTest, SurvivesEmptyExtentsAndRefusesFarCorners) {
  for (const std::array<int64_t, 4>& shape : {std::array<int64_t, 4>{0, 4, 4, 4}, {2, 0, 4, 4}, {2, 4, 4, 0}}) {
    const absl::StatusOr<HostVoxelGrid> grid =
        GridFromDenseMaskCpu(View<const bool, 4>(nullptr, shape), {0, 0, 0}, kFifth);
    ASSERT_TRUE(grid.ok());
    EXPECT_EQ(grid->num_voxels(), 0);
    EXPECT_EQ(grid->batch_size(), shape[0]);
  }
  const bool cell = true;
  const View<const bool, 4> one(&cell, {1, 1, 1, 1});
  EXPECT_EQ(ExitCodeOf(GridFromDenseMaskCpu(one, {0, 0, kMaxCoordinate + 1}, kFifth).status()), ExitCode::kData);
}

TEST(GridTransformTest, CoarsenedAndSubdividedAreInverse) {
  const GridTransform coarse = kFifth.Coarsened({2, 2, 1});
  EXPECT_THAT(coarse.voxel_size, ElementsAre(0.4, 0.4, 0.2));
  EXPECT_THAT(coarse.origin, ElementsAre(0.2, 0.2, 0.1));
  const GridTransform coarser = coarse.Coarsened({2, 2, 2});
  EXPECT_THAT(coarser.voxel_size, ElementsAre(0.8, 0.8, 0.4));
  EXPECT_THAT(coarser.origin, ElementsAre(0.4, 0.4, 0.2));
  const GridTransform back = coarser.Subdivided({4, 4, 2});
  for (int axis = 0; axis < 3; ++axis) {
    EXPECT_DOUBLE_EQ(back.voxel_size[axis], 0.2);
    EXPECT_DOUBLE_EQ(back.origin[axis], 0.1);
  }
  EXPECT_NE(coarse, kFifth);
}

}  // namespace
}  // namespace cubist
