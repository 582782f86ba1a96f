// The voxel VAE on a GPU against what the reference's own code computed.
#include <ATen/Context.h>

#include "tests/golden_values/voxel_vae_golden.h"

namespace cubist {
namespace {

class VoxelVaeGoldenCudaTest : public VoxelVaeGoldenTest {
 protected:
  Outcome RunOnGpu(bool tf32, bool forced) const {
    at::globalContext().setAllowTF32CuDNN(tf32);
    at::globalContext().setAllowTF32CuBLAS(false);
    return Run(at::kFloat, at::kCUDA, forced ? GoldenMasks(at::kCUDA) : std::vector<at::Tensor>());
  }
};

TEST_F(VoxelVaeGoldenCudaTest, Float32) { ExpectGolden(RunOnGpu(/*tf32=*/false, /*forced=*/true), 1e-4); }

TEST_F(VoxelVaeGoldenCudaTest, Tf32) { ExpectGolden(RunOnGpu(/*tf32=*/true, /*forced=*/true), 1e-2); }

// A decision that is close may turn: the losses are compared alone.
TEST_F(VoxelVaeGoldenCudaTest, Float32WithItsOwnMasks) {
  ExpectGoldenLosses(RunOnGpu(/*tf32=*/false, /*forced=*/false), 1e-3);
}

}  // namespace
}  // namespace cubist
