// The reference's numbers of a voxel VAE, and ours beside them: testdata/voxel_vae.safetensors, which
// record_voxel_vae.py wrote and explains.
#ifndef CUBIST_TESTS_GOLDEN_VALUES_VOXEL_VAE_GOLDEN_H_
#define CUBIST_TESTS_GOLDEN_VALUES_VOXEL_VAE_GOLDEN_H_

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data_process/formats/safetensors.h"
#include "models/vae/voxel_vae.h"
#include "models/vae/voxel_vae_loss.h"

namespace cubist {

// The recipe's network over a neck of 16^3 cells; two samples.
class VoxelVaeGoldenTest : public testing::Test {
 protected:
  static constexpr int64_t kBatchSize = 2;

  struct Outcome {
    Latent latent;
    Reconstruction reconstruction;
    VoxelVaeLoss loss;
  };

  // The numbers are beside the program where it was packed, else among what Bazel gives a test.
  void SetUp() override;

  // By the script's name, on the CPU.
  at::Tensor Golden(const std::string& name) const;
  // What the recorded decoder kept, as Decode() takes it, on a device.
  std::vector<at::Tensor> GoldenMasks(at::Device device) const;

  // The network with the script's parameters in `dtype` on `device`.
  void FillParameters(at::ScalarType dtype, at::Device device) const;
  // A step of it, backward included.
  Outcome Run(at::ScalarType dtype, at::Device device, const std::vector<at::Tensor>& forced_occupied) const;

  // Holds features, losses and gradients of all parameters against the reference's, by relative error.
  void ExpectGolden(const Outcome& outcome, double tolerance) const;
  void ExpectGoldenLosses(const Outcome& outcome, double tolerance) const;

  const VoxelVaeNetwork& network() const { return network_; }

 private:
  void ReadScene(VoxelGrid& grid, at::Tensor& labels) const;
  double ErrorOf(const std::string& name, const at::Tensor& tensor) const;

  std::unique_ptr<SafetensorsFile> golden_;
  const VoxelVaeNetwork network_{Options()};

  static VoxelVaeOptions Options();
};

}  // namespace cubist

#endif  // CUBIST_TESTS_GOLDEN_VALUES_VOXEL_VAE_GOLDEN_H_
