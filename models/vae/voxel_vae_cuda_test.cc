// The voxel VAE on a GPU against itself on the CPU in double: the recipe's width at a neck of 16^3 cells.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <c10/cuda/CUDAFunctions.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/cuda/gpu_check.h"
#include "models/vae/testing/vae_scene.h"
#include "models/vae/voxel_vae_loss.h"

namespace cubist {
namespace {

constexpr uint32_t kSeed = 5;

VoxelVaeOptions Options() {
  VoxelVaeOptions options;
  options.neck_half_extent = {8, 8, 8};
  return options;
}

// Everything that a step computes, by name, in double on the CPU.
using Results = std::map<std::string, at::Tensor>;

Results Step(const VoxelVaeOptions& options, at::ScalarType dtype, at::Device device, bool forced = true) {
  const VoxelVaeNetwork network(options);
  PlaceParameters(network, kSeed, dtype, device);
  const VaeScene scene = MakeVaeScene(options, StreetVoxels(options), kSeed, dtype, device);
  Results results;
  const auto keep = [&results](const std::string& name, const at::Tensor& tensor) {
    results[name] = tensor.detach().to(at::kCPU, at::kDouble);
  };
  const Latent latent = *network.Encode(scene.voxels, scene.labels, scene.noise);
  keep("mean", latent.mean);
  keep("log_variance", latent.log_variance);
  const Reconstruction reconstruction =
      *network.Decode(latent.sample, 1, forced ? scene.occupied : std::vector<at::Tensor>());
  for (const StructureLevel& structure : reconstruction.structure) {
    keep("structure " + std::to_string(structure.level), structure.logits);
  }
  keep("semantic", reconstruction.semantic_logits);
  const VoxelVaeLoss loss = *ComputeVoxelVaeLoss({}, scene.voxels, scene.labels, latent, reconstruction);
  keep("loss", loss.total);
  keep("metrics", loss.metrics().Sums());
  loss.total.backward();
  for (const Parameter& parameter : network.Parameters()) keep("d " + parameter.name, parameter.value.grad());
  return results;
}

// Compares all results. The error of a whole gradient may be larger than that of features: `gradient_limit`.
void ExpectNear(const Results& results, const Results& truth, double limit, double gradient_limit) {
  ASSERT_EQ(results.size(), truth.size());
  double worst = 0, worst_gradient = 0;
  for (const auto& [name, expected] : truth) {
    if (name == "metrics") continue;
    const at::Tensor& result = results.at(name);
    ASSERT_EQ(result.sizes(), expected.sizes()) << name;
    const double error = RelativeError(result, expected);
    const bool gradient = name.rfind("d ", 0) == 0;
    double& largest = gradient ? worst_gradient : worst;
    largest = std::max(largest, error);
    EXPECT_LT(error, gradient ? gradient_limit : limit) << name;  // NaN is not less
  }
  std::printf("largest relative error: features %.2e, gradients %.2e\n", worst, worst_gradient);
}

class VoxelVaeCudaTest : public testing::Test {
 protected:
  static const Results& Truth() {
    static const Results truth = Step(Options(), at::kDouble, at::kCPU);
    return truth;
  }
  void SetUp() override {
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
  }
};

TEST_F(VoxelVaeCudaTest, Float32) { ExpectNear(Step(Options(), at::kFloat, at::kCUDA), Truth(), 1e-4, 1e-4); }

TEST_F(VoxelVaeCudaTest, Tf32) {
  at::globalContext().setAllowTF32CuDNN(true);
  ExpectNear(Step(Options(), at::kFloat, at::kCUDA), Truth(), 1e-2, 1e-2);
}

TEST_F(VoxelVaeCudaTest, Bfloat16) {
  VoxelVaeOptions options = Options();
  options.bfloat16_features = true;
  // bfloat16 has 8 bits: a rounding of 2^-9 in each of some twenty layers.
  ExpectNear(Step(options, at::kFloat, at::kCUDA), Truth(), 3e-2, 2e-1);
}

// What the decoder predicts itself may differ where two logits are almost the same: the losses are compared alone.
TEST_F(VoxelVaeCudaTest, FreeMasks) {
  const Results truth = Step(Options(), at::kDouble, at::kCPU, /*forced=*/false);
  const Results result = Step(Options(), at::kFloat, at::kCUDA, /*forced=*/false);
  EXPECT_LT(RelativeError(result.at("loss"), truth.at("loss")), 1e-3);
}

// Copies and reads of LibTorch's that make the host wait throw here. The grids' own waits, which are meant, do not.
TEST_F(VoxelVaeCudaTest, TheHostWaitsForGridsAlone) {
  const VoxelVaeOptions options = Options();
  const VoxelVaeNetwork network(options);
  PlaceParameters(network, kSeed, at::kFloat, at::kCUDA);
  const VaeScene scene = MakeVaeScene(options, StreetVoxels(options), kSeed, at::kFloat, at::kCUDA);
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
  EXPECT_NO_THROW({
    const Latent latent = *network.Encode(scene.voxels, scene.labels, scene.noise);
    const Reconstruction reconstruction = *network.Decode(latent.sample, 1);
    const VoxelVaeLoss loss = *ComputeVoxelVaeLoss({}, scene.voxels, scene.labels, latent, reconstruction);
    loss.total.backward();
    (void)loss.metrics().Sums();
  });
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
}

TEST_F(VoxelVaeCudaTest, TheSameBitsAgain) {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
  VoxelVaeOptions options = Options();
  options.bfloat16_features = true;
  const Results once = Step(options, at::kFloat, at::kCUDA, false), again = Step(options, at::kFloat, at::kCUDA, false);
  at::globalContext().setDeterministicAlgorithms(false, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(false);
  for (const auto& [name, tensor] : once) EXPECT_TRUE(tensor.equal(again.at(name))) << name;
}

}  // namespace
}  // namespace cubist
