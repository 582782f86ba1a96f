// The nearest voxel on a GPU against the host's: every row is equal. Needs a GPU.
#include <ATen/ops/empty.h>

#include <cstring>
#include <random>

#include "base/status.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"
#include "kernels/voxel_grid/grid_test_util.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

const GridTransform kFine = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

VoxelGrid Grid(const Samples& samples, const GridTransform& transform = kFine) {
  const Flat flat(samples);
  at::Tensor ijk = at::empty({flat.offsets.back(), 3}, at::TensorOptions().dtype(at::kInt));
  if (ijk.numel() > 0) std::memcpy(ijk.mutable_data_ptr(), flat.values.data(), ijk.nbytes());
  return *GridFromIjk(ijk, flat.offsets, transform);
}

void ExpectSame(const VoxelGrid& reference, const VoxelGrid& query) {
  const PoisonedMemory poisoned;
  const absl::StatusOr<at::Tensor> wanted = NearestVoxel(reference, query);
  const VoxelGrid device_reference = reference.To(at::kCUDA), device_query = query.To(at::kCUDA);
  const absl::StatusOr<at::Tensor> got = NearestVoxel(device_reference, device_query);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(got->is_cuda());
  EXPECT_TRUE(SameBits(*got, *wanted)) << reference.num_voxels() << " references, " << query.num_voxels() << " queries";
}

TEST(NearestVoxelCudaTest, OneLattice) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 40; ++round) {
    const int32_t span = 2 + static_cast<int32_t>(random() % 40);
    Samples reference, query;
    for (int b = 0; b < 3; ++b) {
      reference.push_back(RandomIjk(random, 1 + random() % 300, {-span, -span, -span}, {span, span, span / 2}));
      query.push_back(RandomIjk(random, random() % 400, {-30, -30, -30}, {30, 20, 30}));
    }
    ExpectSame(Grid(reference), Grid(query));
  }
}

TEST(NearestVoxelCudaTest, TestBatches) {
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
      ExpectSame(Grid(samples), Grid(queries));
      ExpectSame(Grid(queries), Grid(samples));
      ExpectSame(Grid(samples), Grid(samples));
    }
  }
}

TEST(NearestVoxelCudaTest, Ties) {
  std::vector<Ijk> ring;
  for (const int32_t a : {-5, 5}) {
    for (const int32_t b : {-3, 3}) {
      ring.push_back({a, b, 0});
      ring.push_back({a, 0, b});
      ring.push_back({0, a, b});
    }
  }
  ExpectSame(Grid({ring}), Grid({{{0, 0, 0}}}));
  // A tie just across the face of the query's leaf, at the least distance that the next leaf can have.
  ExpectSame(Grid({{{-1, 0, 0}, {1, 0, 0}}}), Grid({{{0, 0, 0}}}));
  ExpectSame(Grid({{{0, 7, 0}, {0, 9, 0}}}), Grid({{{0, 8, 0}}}));
  ExpectSame(Grid({{{0, 0, 4093}, {0, 0, 4099}}}), Grid({{{0, 0, 4096}}}));
  Samples board(1), holes(1), corners(1), middles(1);
  for (int32_t i = -40; i < 40; ++i) {
    for (int32_t j = -10; j < 10; ++j) {
      for (int32_t k = -10; k < 10; ++k) {
        (((i + j + k) & 3) == 0 ? board : holes)[0].push_back({i, j, k});
        // Corners of leaves, asked from the middles between them.
        if (i % 16 == 0 && j % 8 == 0 && k % 8 == 0) corners[0].push_back({i, j, k});
        middles[0].push_back({i, j, k});
      }
    }
  }
  ExpectSame(Grid(board), Grid(holes));
  ExpectSame(Grid(corners), Grid(middles));
}

TEST(NearestVoxelCudaTest, AcrossLattices) {
  const GridTransform coarse = kFine.Coarsened({2, 2, 2}), flat = kFine.Coarsened({4, 4, 2});
  const GridTransform slab = {{0.4, 0.4, 0.2}, {0.2, 0.2, 0.1}}, elsewhere = {{0.25, 0.3, 0.35}, {10.025, -3.1, 0.4}};
  const GridTransform tiny = kFine.Subdivided({7, 3, 50});
  std::mt19937_64 random(5);
  for (const GridTransform& of_reference : {kFine, coarse, flat, slab, elsewhere, tiny}) {
    for (const GridTransform& of_query : {kFine, coarse, flat, slab, elsewhere, tiny}) {
      for (int round = 0; round < 3; ++round) {
        const Samples a = {RandomIjk(random, 1000, {-30, -30, -30}, {30, 30, 30}),
                           RandomIjk(random, 3, {-99, -9, 0}, {5, 5, 5})};
        const Samples b = {RandomIjk(random, 1000, {-40, -20, -40}, {20, 40, 40}),
                           RandomIjk(random, 100, {-99, -9, 0}, {5, 5, 5})};
        ExpectSame(Grid(a, of_reference), Grid(b, of_query));
      }
    }
  }
}

TEST(NearestVoxelCudaTest, FarAwayAndEmpty) {
  ExpectSame(Grid({{{kMaxCoordinate, 0, 0}}, {{3, 3, 3}, {5, 3, 3}}}),
             Grid({{{-kMaxCoordinate, 1, 0}}, {{kMaxCoordinate, 0, 0}}}));
  ExpectSame(Grid({{}, {{1, 2, 3}}}), Grid({{{1, 2, 3}, {4, 5, 6}}, {}}));
  ExpectSame(Grid({{}}), Grid({{}}));
  ExpectSame(Grid({}), Grid({}));
  // Mostly empty space inside the reference's box.
  std::mt19937_64 random(7);
  ExpectSame(Grid({{{-400, -300, -90}, {500, 400, 70}, {-390, 400, -80}}}),
             Grid({RandomIjk(random, 3000, {-450, -350, -120}, {550, 450, 100})}));
  EXPECT_EQ(ExitCodeOf(NearestVoxel(Grid({{}}).To(at::kCUDA), Grid({{}, {}}).To(at::kCUDA)).status()),
            ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(NearestVoxel(Grid({{}}).To(at::kCUDA), Grid({{}})).status()), ExitCode::kConfig);
}

TEST(NearestVoxelCudaTest, FullLeavesAndWideDirectories) {
  std::mt19937_64 random(8);
  Samples all(1);
  for (int32_t i = 0; i < 24; ++i) {
    for (int32_t j = 0; j < 24; ++j) {
      for (int32_t k = 0; k < 24; ++k) all[0].push_back({i, j, k});
    }
  }
  const Samples some = {RandomIjk(random, 9, {-20, 0, 0}, {40, 24, 24})};
  ExpectSame(Grid(some), Grid(all));
  ExpectSame(Grid(all), Grid(some));
  // A pruned grid made on the GPU has a directory wider than its voxels.
  const VoxelGrid host = Grid({RandomIjk(random, 2000, {-90, -90, -90}, {90, 90, 90})}), query = Grid(all);
  at::Tensor keep = at::empty({host.num_voxels()}, at::TensorOptions().dtype(at::kBool));
  for (int64_t n = 0; n < keep.numel(); ++n) keep.mutable_data_ptr<bool>()[n] = n % 400 == 7;
  const Subdivided pruned = *Subdivide(host, {1, 1, 1}, keep);
  const Subdivided pruned_on_gpu = *Subdivide(host.To(at::kCUDA), {1, 1, 1}, keep.to(at::kCUDA));
  EXPECT_TRUE(SameBits(*NearestVoxel(pruned_on_gpu.grid, query.To(at::kCUDA)), *NearestVoxel(pruned.grid, query)));
  EXPECT_TRUE(SameBits(*NearestVoxel(query.To(at::kCUDA), pruned_on_gpu.grid), *NearestVoxel(query, pruned.grid)));
}

}  // namespace
}  // namespace cubist
