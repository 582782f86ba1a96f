// Grids on a GPU against the host's: every tensor is equal. Needs a GPU.
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/voxel_grid/device_grid.h"
#include "kernels/voxel_grid/grid_test_util.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};
const std::vector<std::array<int, 3>> kFactors = {{1, 1, 1}, {2, 2, 2}, {2, 2, 1}, {4, 4, 2}, {3, 1, 5}, {16, 9, 2}};

at::Tensor TensorFrom(const void* data, at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
  if (tensor.numel() > 0) std::memcpy(tensor.mutable_data_ptr(), data, tensor.nbytes());
  return tensor;
}
at::Tensor IjkOf(const Flat& flat) {
  return TensorFrom(flat.values.data(), {static_cast<int64_t>(flat.values.size() / 3), 3}, at::kInt);
}
at::Tensor RandomMask(std::mt19937_64& random, at::IntArrayRef shape, int percent) {
  at::Tensor mask = at::empty(shape, at::TensorOptions().dtype(at::kBool));
  for (int64_t n = 0; n < mask.numel(); ++n) mask.mutable_data_ptr<bool>()[n] = random() % 100 < unsigned(percent);
  return mask;
}
VoxelGrid HostGrid(const Samples& samples) {
  const Flat flat(samples);
  return *GridFromIjk(IjkOf(flat), flat.offsets, kFifth);
}

// Batches of grid_test_util.h and more.
std::vector<Samples> AllBatches(uint64_t seed) {
  std::vector<Samples> batches = TestBatches(seed);
  std::mt19937_64 random(seed);
  Samples many(70);
  for (size_t b = 0; b < many.size(); b += 1 + random() % 3) many[b] = RandomIjk(random, 40, {-9, -9, -9}, {9, 9, 9});
  batches.push_back(many);
  // More leaves than a block of any kernel takes, and rows that change the sample inside a block.
  batches.push_back({RandomIjk(random, 30000, {-200, -150, -50}, {200, 150, 50}),
                     {{5, 5, 5}},
                     RandomIjk(random, 20000, {-20, -20, -20}, {40, 40, 40})});
  std::vector<Ijk> all;
  for (int32_t i = -11; i < 9; ++i) {
    for (int32_t j = -5; j < 17; ++j) {
      for (int32_t k = -16; k < 16; ++k) all.push_back({i, j, k});
    }
  }
  batches.push_back({all, {}, all});
  return batches;
}

void ExpectSameLeaves(const VoxelGrid& got, const VoxelGrid& wanted) {
  EXPECT_TRUE(got.ijk.is_cuda());
  EXPECT_EQ(got.host_offsets, wanted.host_offsets);
  EXPECT_EQ(got.transform, wanted.transform);
  EXPECT_TRUE(SameBits(got.ijk, wanted.ijk));
  EXPECT_TRUE(SameBits(got.offsets, wanted.offsets));
  EXPECT_TRUE(SameBits(got.leaf_mask, wanted.leaf_mask));
  EXPECT_TRUE(SameBits(got.leaf_prefix, wanted.leaf_prefix));
  EXPECT_TRUE(SameBits(got.leaf_base, wanted.leaf_base));
  EXPECT_TRUE(SameBits(got.leaf_origin, wanted.leaf_origin));
  const at::Tensor boxes = TensorFrom(got.host_directory_box.data(), {got.batch_size(), 8}, at::kInt);
  EXPECT_TRUE(SameBits(got.directory_box, boxes));
}
void ExpectSameQuestions(const VoxelGrid& got, const VoxelGrid& wanted) {
  at::Tensor taps, wanted_taps;
  EXPECT_TRUE(SameBits(*NeighborMap(got, &taps), *NeighborMap(wanted, &wanted_taps)));
  EXPECT_TRUE(SameBits(taps, wanted_taps));
  EXPECT_TRUE(SameBits(*NeighborMap(got), *NeighborMap(wanted)));
  EXPECT_TRUE(SameBits(*DenseIndex(got, {-9, -9, -9}, {30, 18, 25}), *DenseIndex(wanted, {-9, -9, -9}, {30, 18, 25})));
  EXPECT_TRUE(SameBits(*Lookup(got, got.ijk, got.host_offsets), *Lookup(wanted, wanted.ijk, wanted.host_offsets)));
  // Each voxel's surroundings, near and far, also of coordinates at the ends of int32.
  std::mt19937_64 random(9);
  at::Tensor queries = at::empty({2 * wanted.num_voxels(), 3}, at::TensorOptions().dtype(at::kInt));
  std::vector<int64_t> offsets = {0};
  for (size_t b = 1; b < wanted.host_offsets.size(); ++b) offsets.push_back(2 * wanted.host_offsets[b]);
  int32_t* query = queries.mutable_data_ptr<int32_t>();
  for (int64_t n = 0; n < wanted.num_voxels(); ++n) {
    for (int copy = 0; copy < 2; ++copy) {
      for (int axis = 0; axis < 3; ++axis) {
        const int32_t at = wanted.ijk.const_data_ptr<int32_t>()[3 * n + axis];
        query[6 * n + 3 * copy + axis] =
            copy == 0     ? at + static_cast<int32_t>(random() % 9) - 4
            : n % 50 == 0 ? (axis == 1 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max())
                          : at + static_cast<int32_t>(random() % 3) - 1;
      }
    }
  }
  EXPECT_TRUE(SameBits(*Lookup(got, queries.to(at::kCUDA), offsets), *Lookup(wanted, queries, offsets)));
}

class VoxelGridCudaTest : public ::testing::Test {
 private:
  PoisonedMemory poisoned_;
};

TEST_F(VoxelGridCudaTest, FromIjk) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (const Samples& samples : AllBatches(seed)) {
      const Flat flat(samples);
      const VoxelGrid wanted = HostGrid(samples);
      const absl::StatusOr<VoxelGrid> got = GridFromIjk(IjkOf(flat).to(at::kCUDA), flat.offsets, kFifth);
      ASSERT_TRUE(got.ok()) << got.status();
      ExpectSameLeaves(*got, wanted);
      EXPECT_EQ(got->host_directory_box, wanted.host_directory_box);
      EXPECT_TRUE(SameBits(got->directory, wanted.directory));
      ExpectSameQuestions(*got, wanted);
      ExpectSameQuestions(wanted.To(at::kCUDA), wanted);
    }
  }
  // Columns of a wider tensor.
  const std::vector<int32_t> values = {9, 1, 2, 3, 9, 4, 5, 6};
  const at::Tensor wide = TensorFrom(values.data(), {2, 4}, at::kInt).to(at::kCUDA);
  const absl::StatusOr<VoxelGrid> strided = GridFromIjk(wide.narrow(1, 1, 3), {0, 2}, kFifth);
  ASSERT_TRUE(strided.ok());
  EXPECT_TRUE(SameBits(strided->ijk, wide.narrow(1, 1, 3).contiguous()));
}

TEST_F(VoxelGridCudaTest, FromIjkOfWideSpans) {
  std::mt19937_64 random(4);
  // More cells than guessed, then more leaves.
  for (const int32_t reach : {900, 600}) {
    const Samples samples = {
        RandomIjk(random, reach == 600 ? 600000 : 5000, {-reach, -reach, -reach}, {reach, reach, reach}),
        {},
        {{reach, -reach, 0}}};
    const Flat flat(samples);
    const VoxelGrid wanted = HostGrid(samples);
    EXPECT_TRUE(wanted.directory.numel() > kGuessedCells || wanted.leaf_base.numel() > kGuessedLeaves);
    const absl::StatusOr<VoxelGrid> got = GridFromIjk(IjkOf(flat).to(at::kCUDA), flat.offsets, kFifth);
    ASSERT_TRUE(got.ok()) << got.status();
    ExpectSameLeaves(*got, wanted);
    EXPECT_TRUE(SameBits(got->directory, wanted.directory));
    EXPECT_TRUE(SameBits(*NeighborMap(*got), *NeighborMap(wanted)));
    // From such a box, coarser and finer grids find their own boxes.
    for (const std::array<int, 3>& factor : {std::array<int, 3>{2, 2, 1}, std::array<int, 3>{1, 1, 1}}) {
      const Coarsened coarse = *Coarsen(*got, factor), coarse_wanted = *Coarsen(wanted, factor);
      ExpectSameLeaves(coarse.grid, coarse_wanted.grid);
      EXPECT_TRUE(SameBits(coarse.parent, coarse_wanted.parent));
      const at::Tensor keep = RandomMask(random, {wanted.num_voxels()}, 3);
      const absl::StatusOr<Subdivided> fine = Subdivide(*got, factor, keep.to(at::kCUDA));
      ASSERT_TRUE(fine.ok()) << fine.status();
      const Subdivided fine_wanted = *Subdivide(wanted, factor, keep);
      ExpectSameLeaves(fine->grid, fine_wanted.grid);
      EXPECT_TRUE(SameBits(fine->parent, fine_wanted.parent));
    }
  }
}

TEST_F(VoxelGridCudaTest, FromPoints) {
  std::mt19937_64 random(5);
  for (const int64_t count : {0, 1, 31, 5000, 300000}) {
    at::Tensor points = at::empty({count, 3}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t n = 0; n < 3 * count; ++n) {
      // Half of them exactly between two voxels, or as near as float comes.
      const float x = std::uniform_real_distribution<float>(-9, 9)(random);
      points.mutable_data_ptr<float>()[n] = random() % 2 == 0 ? x : 0.1f * std::nearbyint(10 * x);
    }
    for (const GridTransform& transform : {kFifth, GridTransform{{0.1, 0.3, 0.7}, {1.5, -3.1, 0.05}}}) {
      const std::vector<int64_t> offsets = {0, count / 3, count / 3, count};
      const VoxelGrid wanted = *GridFromPoints(points, offsets, transform);
      const absl::StatusOr<VoxelGrid> got = GridFromPoints(points.to(at::kCUDA), offsets, transform);
      ASSERT_TRUE(got.ok()) << got.status();
      ExpectSameLeaves(*got, wanted);
      EXPECT_TRUE(SameBits(got->directory, wanted.directory));
    }
  }
}

TEST_F(VoxelGridCudaTest, FromDenseMask) {
  std::mt19937_64 random(6);
  for (const int percent : {0, 1, 30, 100}) {
    for (const std::array<int64_t, 4>& shape :
         {std::array<int64_t, 4>{1, 16, 24, 32}, std::array<int64_t, 4>{3, 5, 7, 11},
          std::array<int64_t, 4>{2, 1, 1, 1}, std::array<int64_t, 4>{0, 4, 4, 4}, std::array<int64_t, 4>{2, 4, 0, 4},
          std::array<int64_t, 4>{2, 9, 40, 64}}) {
      for (const std::array<int, 3>& ijk_min : {std::array<int, 3>{0, 0, 0}, {-8, 16, -16}, {-4099, 3, -5}}) {
        const at::Tensor mask = RandomMask(random, shape, percent);
        const at::Tensor on_gpu = mask.to(at::kCUDA);
        const DenseGrid wanted = *GridFromDenseMask(mask, ijk_min, kFifth);
        const absl::StatusOr<DenseGrid> got = GridFromDenseMask(on_gpu, ijk_min, kFifth);
        ASSERT_TRUE(got.ok()) << got.status();
        ExpectSameLeaves(got->grid, wanted.grid);
        EXPECT_TRUE(SameBits(got->grid.directory, wanted.grid.directory));
        EXPECT_TRUE(SameBits(got->dense_index, wanted.dense_index));
        // Strides, and rows that do not begin at eight bytes.
        const DenseGrid turned = *GridFromDenseMask(on_gpu.transpose(1, 3), ijk_min, kFifth);
        ExpectSameLeaves(turned.grid, GridFromDenseMask(mask.transpose(1, 3), ijk_min, kFifth)->grid);
        if (shape[3] > 3) {
          const DenseGrid part = *GridFromDenseMask(on_gpu.narrow(3, 3, shape[3] - 3), ijk_min, kFifth);
          ExpectSameLeaves(part.grid, GridFromDenseMask(mask.narrow(3, 3, shape[3] - 3), ijk_min, kFifth)->grid);
        }
      }
    }
  }
}

TEST_F(VoxelGridCudaTest, CoarsensSubdividesAndPrunes) {
  std::mt19937_64 random(7);
  for (const Samples& samples : AllBatches(1)) {
    const VoxelGrid host = HostGrid(samples), device = host.To(at::kCUDA);
    for (const std::array<int, 3>& factor : kFactors) {
      const Coarsened wanted = *Coarsen(host, factor);
      const absl::StatusOr<Coarsened> got = Coarsen(device, factor);
      ASSERT_TRUE(got.ok()) << got.status();
      ExpectSameLeaves(got->grid, wanted.grid);
      EXPECT_TRUE(SameBits(got->grid.directory, wanted.grid.directory));
      EXPECT_TRUE(SameBits(got->parent, wanted.parent));
      for (const int percent : {0, 50, 100}) {
        const at::Tensor keep = RandomMask(random, {wanted.grid.num_voxels()}, percent);
        const Subdivided fine_wanted = *Subdivide(wanted.grid, factor, keep);
        const absl::StatusOr<Subdivided> fine = Subdivide(got->grid, factor, keep.to(at::kCUDA));
        ASSERT_TRUE(fine.ok()) << fine.status();
        ExpectSameLeaves(fine->grid, fine_wanted.grid);
        EXPECT_TRUE(SameBits(fine->parent, fine_wanted.parent));
        ExpectSameQuestions(fine->grid, fine_wanted.grid);
        // Grids whose directories are wider than their voxels go on like any other.
        const Coarsened again_wanted = *Coarsen(fine_wanted.grid, {2, 3, 2}), again = *Coarsen(fine->grid, {2, 3, 2});
        ExpectSameLeaves(again.grid, again_wanted.grid);
        EXPECT_TRUE(SameBits(again.parent, again_wanted.parent));
      }
    }
  }
}

TEST_F(VoxelGridCudaTest, DataErrors) {
  const auto ijk = [](const std::vector<int32_t>& values) {
    return TensorFrom(values.data(), {static_cast<int64_t>(values.size() / 3), 3}, at::kInt).to(at::kCUDA);
  };
  const auto points = [](const std::vector<float>& values) {
    return TensorFrom(values.data(), {static_cast<int64_t>(values.size() / 3), 3}, at::kFloat).to(at::kCUDA);
  };
  const auto expect = [](const absl::Status& status, ExitCode code, const std::string& why) {
    EXPECT_EQ(ExitCodeOf(status), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  expect(GridFromIjk(ijk({0, 0, 0, 0, 0, kMaxCoordinate + 1}), {0, 2}, kFifth).status(), ExitCode::kData, "row 1");
  expect(GridFromIjk(ijk({0, -kMaxCoordinate - 1, 0}), {0, 1}, kFifth).status(), ExitCode::kData, "beyond");
  expect(GridFromIjk(ijk({0, 0, 0, 90000, 90000, 90000}), {0, 2}, kFifth).status(), ExitCode::kData,
         "sample 0 spans 90008 x 90008 x 90008");
  expect(GridFromIjk(ijk({0, 0, 0, kMaxCoordinate, kMaxCoordinate, -kMaxCoordinate}), {0, 2}, kFifth).status(),
         ExitCode::kData, "directory cells");
  expect(GridFromPoints(points({1, 1, 1, 1, kNan, 1, 1, kNan, 1}), {0, 3}, kFifth).status(), ExitCode::kData, "row 1");
  expect(GridFromPoints(points({1, 1, 3e38f}), {0, 1}, kFifth).status(), ExitCode::kData, "not finite");
  expect(GridFromPoints(points({1, 1, -std::numeric_limits<float>::infinity()}), {0, 1}, kFifth).status(),
         ExitCode::kData, "not finite");
  expect(GridFromIjk(ijk({1, 1, 1}), {0, 2}, kFifth).status(), ExitCode::kInternal, "offsets");
  expect(GridFromIjk(ijk({1, 1, 1}), {0, 1}, {{0, 1, 1}, {0, 0, 0}}).status(), ExitCode::kData, "voxel size");

  const VoxelGrid edge = *GridFromIjk(ijk({kMaxCoordinate, 0, 0}), {0, 1}, kFifth);
  EXPECT_TRUE(SameBits(edge.ijk, ijk({kMaxCoordinate, 0, 0})));
  const at::Tensor yes = at::ones({1}, at::TensorOptions().dtype(at::kBool).device(at::kCUDA));
  expect(Subdivide(edge, {2, 2, 2}, yes).status(), ExitCode::kData, "child");
  EXPECT_EQ(Subdivide(edge, {2, 2, 2}, yes.logical_not())->grid.num_voxels(), 0);
  EXPECT_EQ(Subdivide(edge, {1, 2, 2}, yes)->grid.num_voxels(), 4);
  expect(Subdivide(edge, {1, 0, 1}, yes).status(), ExitCode::kInternal, "factors");
  expect(Coarsen(edge, {1, 0, 1}).status(), ExitCode::kInternal, "factors");
  expect(Subdivide(edge, {1, 1, 1}, yes.cpu()).status(), ExitCode::kConfig, "Subdivide: mask is on cpu");
  expect(Lookup(edge, ijk({1, 1, 1}).cpu(), {0, 1}).status(), ExitCode::kConfig, "Lookup: ijk is on cpu");
  expect(Lookup(edge, ijk({1, 1, 1}), {0, 0, 1}).status(), ExitCode::kInternal, "2 samples against 1");
}

}  // namespace
}  // namespace cubist
