// The voxel VAE on the CPU against what the reference's own code computed.
#include "tests/golden_values/voxel_vae_golden.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

namespace cubist {
namespace {

TEST_F(VoxelVaeGoldenTest, DoubleEqualsTheReferenceAndDecidesAsItDoes) {
  ExpectGolden(Run(at::kDouble, at::kCPU, {}), 1e-10);
}

// Decisions given, since rounding may turn one that is close.
TEST_F(VoxelVaeGoldenTest, FloatIsNearTheReference) {
  ExpectGolden(Run(at::kFloat, at::kCPU, GoldenMasks(at::kCPU)), 1e-4);
}

TEST_F(VoxelVaeGoldenTest, MasksOfAnotherNumberOrSizeAreRefused) {
  FillParameters(at::kFloat, at::kCPU);
  const at::Tensor z =
      at::zeros({kBatchSize * network().NeckCells(), network().options().LatentChannels()}, at::kFloat);
  const std::vector<at::Tensor> masks = GoldenMasks(at::kCPU);
  const absl::Status one = network().Decode(z, kBatchSize, {masks[0]}).status();
  EXPECT_EQ(one.message(), "Decode: 1 masks for 3 levels");
  EXPECT_ANY_THROW((void)network().Decode(z, kBatchSize, {masks[1], masks[1], masks[2]}));
  EXPECT_FALSE(network().Decode(z, kBatchSize, {masks[0], masks[2], masks[2]}).ok());
}

// Which weight ties which voxels: a one in the middle of 3x3x3 voxels, weights 0 to 26.
TEST_F(VoxelVaeGoldenTest, AxesOfAConvolutionAreThoseOfTheStandIn) {
  const at::Tensor all = at::arange(27, at::kInt);
  const at::Tensor ijk = at::cat({all.div(9, "floor").unsqueeze(1), all.div(3, "floor").remainder(3).unsqueeze(1),
                                  all.remainder(3).unsqueeze(1)},
                                 1)
                             .to(at::kInt);
  const at::Tensor weight = at::arange(27, at::kDouble).view({1, 1, 3, 3, 3});
  const at::Tensor x = at::zeros({27, 1}, at::kDouble);
  x[13][0] = 1;
  const at::Tensor expected = Golden("impulse").reshape({-1, 1});  // rows (i, j, k), k fastest

  const VoxelDomain dense(1, {3, 3, 3});
  EXPECT_TRUE(at::equal(dense.Convolve(x, weight, at::Tensor()), expected));
  const VoxelGrid grid = *GridFromIjk(ijk, {0, 27}, GridTransform());
  ASSERT_TRUE(at::equal(grid.ijk, ijk)) << "one leaf has its rows in this order";
  EXPECT_TRUE(at::equal(VoxelDomain::Sparse(grid)->Convolve(x, weight, at::Tensor()), expected));
}

}  // namespace
}  // namespace cubist
