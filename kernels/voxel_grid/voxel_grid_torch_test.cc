// The tensor layer: arguments and results; what is computed is tested beside the host versions.
#include "kernels/voxel_grid/voxel_grid_torch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/label_vote/label_vote_torch.h"
#include "kernels/mesh_voxels/mesh_voxels_torch.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"

namespace cubist {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

at::Tensor Int32(const std::vector<int32_t>& values, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kInt));
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int32_t>());
  return tensor;
}
at::Tensor Float(const std::vector<float>& values, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<float>());
  return tensor;
}
template <typename T>
std::vector<T> Values(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return {dense.const_data_ptr<T>(), dense.const_data_ptr<T>() + dense.numel()};
}
std::vector<int32_t> Rows(const VoxelGrid& grid) { return Values<int32_t>(grid.ijk); }

// Samples {(-1,0,0), (0,0,0), (1,0,0)} and {(5,5,5)}.
VoxelGrid SmallGrid() {
  absl::StatusOr<VoxelGrid> grid =
      GridFromIjk(Int32({1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 5, 5, 5}, {5, 3}), {0, 4, 5}, kFifth);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

TEST(VoxelGridTorchTest, BuildsFromCoordinatesAndOutlivesThem) {
  const VoxelGrid grid = SmallGrid();
  EXPECT_THAT(Rows(grid), ElementsAre(-1, 0, 0, 0, 0, 0, 1, 0, 0, 5, 5, 5));
  EXPECT_THAT(Values<int64_t>(grid.offsets), ElementsAre(0, 3, 4));
  EXPECT_THAT(grid.host_offsets, ElementsAre(0, 3, 4));
  EXPECT_EQ(grid.num_voxels(), 4);
  EXPECT_EQ(grid.batch_size(), 2);
  EXPECT_EQ(grid.transform, kFifth);
  // Columns of a wider tensor: strides are honoured.
  const at::Tensor wide = Int32({9, 1, 2, 3, 9, 4, 5, 6}, {2, 4});
  const absl::StatusOr<VoxelGrid> strided = GridFromIjk(wide.narrow(1, 1, 3), {0, 2}, kFifth);
  ASSERT_TRUE(strided.ok());
  EXPECT_THAT(Rows(*strided), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(VoxelGridTorchTest, BuildsFromPointsAndVotes) {
  const at::Tensor points = Float({0.1f, 0.1f, 0.1f, 0.2f, 0.1f, 0.1f, 0.15f, 0.1f, 0.1f}, {3, 3});
  const absl::StatusOr<VoxelGrid> grid = GridFromPoints(points, {0, 3}, kFifth);
  ASSERT_TRUE(grid.ok());
  EXPECT_THAT(Rows(*grid), ElementsAre(0, 0, 0, 1, 0, 0));
  const at::Tensor labels = Int32({4, 2, 4}, {3});
  absl::StatusOr<at::Tensor> voted = VoteLabels(*grid, points, labels, {0, 3}, 23, /*half_to_even=*/false);
  ASSERT_TRUE(voted.ok());
  EXPECT_THAT(Values<int64_t>(*voted), ElementsAre(4, 2));
  const at::Tensor other_labels = Int32({4, 5, 4}, {3});
  voted = VoteLabels(*grid, points, other_labels, {0, 3}, 23, /*half_to_even=*/true);
  ASSERT_TRUE(voted.ok());
  EXPECT_THAT(Values<int64_t>(*voted), ElementsAre(4, 4));
}

TEST(VoxelGridTorchTest, BuildsFromADenseMask) {
  at::Tensor mask = at::zeros({2, 3, 4, 16}, at::TensorOptions().dtype(at::kBool));
  bool* cells = mask.mutable_data_ptr<bool>();
  for (const int64_t cell : {0, 17, 191, 192 + 65, 192 + 100}) cells[cell] = true;
  const absl::StatusOr<DenseGrid> dense = GridFromDenseMask(mask, {-2, 0, 7}, kFifth);
  ASSERT_TRUE(dense.ok());
  EXPECT_THAT(dense->grid.host_offsets, ElementsAre(0, 3, 5));
  // Gathering the mask by the indices finds ones only, and each once.
  std::vector<int64_t> index = Values<int64_t>(dense->dense_index);
  const absl::StatusOr<at::Tensor> same = DenseIndex(dense->grid, {-2, 0, 7}, {3, 4, 16});
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(Values<int64_t>(*same), index);
  std::sort(index.begin(), index.end());
  EXPECT_THAT(index, ElementsAre(0, 17, 191, 192 + 65, 192 + 100));
}

TEST(VoxelGridTorchTest, CoarsensSubdividesAndPrunes) {
  const VoxelGrid grid = SmallGrid();
  const absl::StatusOr<Coarsened> coarse = Coarsen(grid, {2, 2, 1});
  ASSERT_TRUE(coarse.ok());
  EXPECT_THAT(Rows(coarse->grid), ElementsAre(-1, 0, 0, 0, 0, 0, 2, 2, 5));
  EXPECT_THAT(Values<int64_t>(coarse->parent), ElementsAre(0, 1, 1, 2));
  EXPECT_EQ(coarse->grid.transform, kFifth.Coarsened({2, 2, 1}));

  at::Tensor mask = at::ones({4}, at::TensorOptions().dtype(at::kBool));
  mask.mutable_data_ptr<bool>()[1] = false;
  const absl::StatusOr<Subdivided> pruned = Subdivide(grid, {1, 1, 1}, mask);
  ASSERT_TRUE(pruned.ok());
  EXPECT_THAT(Rows(pruned->grid), ElementsAre(-1, 0, 0, 1, 0, 0, 5, 5, 5));
  EXPECT_THAT(Values<int64_t>(pruned->parent), ElementsAre(0, 2, 3));
  const absl::StatusOr<Subdivided> fine = Subdivide(grid, {1, 1, 2}, mask);
  ASSERT_TRUE(fine.ok());
  EXPECT_THAT(Values<int64_t>(fine->parent), ElementsAre(0, 0, 2, 2, 3, 3));
  EXPECT_THAT(fine->grid.host_offsets, ElementsAre(0, 4, 6));
}

TEST(VoxelGridTorchTest, AnswersQuestions) {
  const VoxelGrid grid = SmallGrid();
  const absl::StatusOr<at::Tensor> rows = Lookup(grid, Int32({0, 0, 0, 5, 5, 5, 5, 5, 5}, {3, 3}), {0, 2, 3});
  ASSERT_TRUE(rows.ok());
  EXPECT_THAT(Values<int64_t>(*rows), ElementsAre(1, -1, 3));
  const absl::StatusOr<at::Tensor> map = NeighborMap(grid);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->sizes(), at::IntArrayRef({27, 4}));
  EXPECT_THAT(Values<int32_t>(map->select(0, 4)), ElementsAre(-1, 0, 1, -1));   // dx = -1
  EXPECT_THAT(Values<int32_t>(map->select(0, 13)), ElementsAre(0, 1, 2, 3));    // itself
  EXPECT_THAT(Values<int32_t>(map->select(0, 22)), ElementsAre(1, 2, -1, -1));  // dx = +1

  const absl::StatusOr<VoxelGrid> other = GridFromIjk(Int32({1, 0, 0, 9, 5, 5}, {2, 3}), {0, 1, 2}, kFifth);
  ASSERT_TRUE(other.ok());
  const absl::StatusOr<at::Tensor> nearest = NearestVoxel(grid, *other);
  ASSERT_TRUE(nearest.ok());
  EXPECT_THAT(Values<int64_t>(*nearest), ElementsAre(2, 3));
  const absl::StatusOr<at::Tensor> surface =
      MeshVoxels(Float({0.1f, 0.1f, 0.1f, 0.3f, 0.1f, 0.1f}, {2, 3}), Int32({0, 1, 1}, {1, 3}), kFifth);
  ASSERT_TRUE(surface.ok());
  EXPECT_THAT(Values<int32_t>(*surface), ElementsAre(0, 0, 0, 1, 0, 0));
}

TEST(VoxelGridTorchTest, EmptyBatchesWork) {
  const absl::StatusOr<VoxelGrid> empty = GridFromIjk(Int32({}, {0, 3}), {0, 0, 0}, kFifth);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->num_voxels(), 0);
  EXPECT_EQ(empty->batch_size(), 2);
  EXPECT_EQ(NeighborMap(*empty)->sizes(), at::IntArrayRef({27, 0}));
  EXPECT_EQ(Coarsen(*empty, {2, 2, 2})->parent.numel(), 0);
  EXPECT_EQ(Subdivide(*empty, {2, 2, 2}, at::empty({0}, at::TensorOptions().dtype(at::kBool)))->grid.num_voxels(), 0);
  EXPECT_THAT(Values<int64_t>(*NearestVoxel(*empty, SmallGrid())), ElementsAre(-1, -1, -1, -1));
}

TEST(VoxelGridTorchTest, RefusesTensorsOfTheWrongKind) {
  const auto expect = [](const absl::Status& status, ExitCode code, const std::string& operation,
                         const std::string& why) {
    EXPECT_EQ(ExitCodeOf(status), code) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(operation), HasSubstr(why)));
  };
  const at::Tensor elsewhere = at::empty({4, 3}, at::TensorOptions().dtype(at::kInt).device(at::kMeta));
  expect(GridFromIjk(elsewhere, {0, 4}, kFifth).status(), ExitCode::kConfig, "GridFromIjk: ijk", "meta");
  expect(GridFromIjk(at::Tensor(), {0}, kFifth).status(), ExitCode::kInternal, "GridFromIjk: ijk", "undefined");
  expect(GridFromIjk(at::zeros({4, 3}), {0, 4}, kFifth).status(), ExitCode::kInternal, "GridFromIjk", "Float[4,3]");
  expect(GridFromPoints(Int32({1, 2, 3}, {1, 3}), {0, 1}, kFifth).status(), ExitCode::kInternal, "GridFromPoints",
         "Int");
  expect(GridFromPoints(at::zeros({4, 2}), {0, 4}, kFifth).status(), ExitCode::kInternal, "points", "[4,2]");
  const VoxelGrid grid = SmallGrid();
  expect(Subdivide(grid, {2, 2, 2}, at::ones({3}, at::TensorOptions().dtype(at::kBool))).status(), ExitCode::kInternal,
         "Subdivide: mask", "[4]");
  VoxelGrid moved = grid;
  moved.ijk = moved.ijk.to(at::kMeta);
  expect(NeighborMap(moved).status(), ExitCode::kConfig, "NeighborMap: grid", "meta");
  expect(NearestVoxel(grid, moved).status(), ExitCode::kConfig, "NearestVoxel: grid", "meta");
  expect(Coarsen(VoxelGrid(), {2, 2, 2}).status(), ExitCode::kInternal, "Coarsen", "never built");
  expect(VoteLabels(grid, at::zeros({2, 3}), Int32({1, 2, 3}, {3}), {0, 1, 2}, 23, false).status(), ExitCode::kInternal,
         "VoteLabels: labels", "[2]");
  expect(MeshVoxels(at::zeros({2, 3}), at::zeros({1, 3}), kFifth).status(), ExitCode::kInternal, "MeshVoxels: faces",
         "Float");
}

}  // namespace
}  // namespace cubist
