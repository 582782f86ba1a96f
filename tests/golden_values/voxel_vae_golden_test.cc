// The voxel VAE against what the reference's own code computed: testdata/voxel_vae.safetensors, which
// record_voxel_vae.py wrote and explains.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/philox.h"
#include "data_process/formats/safetensors.h"
#include "models/vae/voxel_vae.h"
#include "models/vae/voxel_vae_loss.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {
namespace {

constexpr int64_t kBatchSize = 2;
constexpr uint32_t kSeed = 9;
constexpr uint64_t kNoise = uint64_t{1} << 32;

VoxelVaeOptions Options() {
  VoxelVaeOptions options;
  options.neck_half_extent = {8, 8, 8};
  return options;
}

// The script's float32_numbers().
void FillNumbers(const at::Tensor& tensor, uint64_t n, double centre, double bound) {
  const PhiloxKey key(kSeed, RandomPurpose::kSynthesis);
  const at::Tensor numbers = at::empty(tensor.sizes(), at::kFloat);
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    numbers.data_ptr<float>()[i] = static_cast<float>(centre + bound * (2 * PhiloxUniform(key, n, i) - 1));
  }
  tensor.copy_(numbers);
}

class VoxelVaeGoldenTest : public testing::Test {
 protected:
  struct Outcome {
    Latent latent;
    Reconstruction reconstruction;
    VoxelVaeLoss loss;
  };

  void SetUp() override {
    auto file = SafetensorsFile::Open("tests/golden_values/testdata/voxel_vae.safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    golden_ = *std::move(file);
  }

  at::Tensor Golden(const std::string& name) const {
    const absl::StatusOr<HostTensor> tensor = golden_->Read(name);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return FromHost(*tensor, at::kCPU);
  }

  // The recorded scene, with the rows in our order.
  void ReadScene(VoxelGrid& grid, at::Tensor& labels) const {
    std::vector<at::Tensor> ijk, all_labels;
    std::vector<int64_t> offsets = {0};
    for (int64_t b = 0; b < kBatchSize; ++b) {
      const std::string prefix = "scene." + std::to_string(b);
      ijk.push_back(Golden(prefix + ".ijk"));
      all_labels.push_back(Golden(prefix + ".labels"));
      offsets.push_back(offsets.back() + ijk.back().size(0));
    }
    grid = *GridFromIjk(at::cat(ijk), offsets, Options().TransformAt(0));
    labels = at::cat(all_labels);
    ASSERT_TRUE(at::equal(grid.ijk, at::cat(ijk))) << "voxels in another order";
  }

  void FillParameters(at::ScalarType dtype) const {
    const at::Tensor biases = Golden("structure_biases");
    uint64_t place = 0;
    for (const Parameter& parameter : network_.Parameters()) {
      at::Tensor value = at::empty(parameter.value.sizes(), dtype);
      const std::string& name = parameter.name;
      const bool is_norm = name.find("GroupNorm") != std::string::npos || name.find("_gn.") != std::string::npos;
      const bool is_weight = name.size() > 7 && name.substr(name.size() - 7) == ".weight";
      if (value.dim() > 1) {
        FillNumbers(value, place, 0, std::sqrt(3.0 / (static_cast<double>(value.numel()) / value.size(0))));
      } else {
        FillNumbers(value, place, is_norm && is_weight ? 1 : 0, is_norm ? 0.5 : 0.1);
      }
      for (int i = 0; i < 3; ++i) {
        if (name == "unet.struct_convs.Struct-" + std::to_string(i + 1) + ".OutConv.bias") value[0] = biases[i];
      }
      at::Tensor handle = parameter.value;
      handle.set_data(value);
      ++place;
    }
  }

  std::vector<at::Tensor> GoldenMasks() const {
    return {Golden("occupied.2"), Golden("occupied.1"), Golden("occupied.0")};
  }

  Outcome Run(at::ScalarType dtype, const std::vector<at::Tensor>& forced_occupied) const {
    FillParameters(dtype);
    VoxelGrid grid;
    at::Tensor labels;
    ReadScene(grid, labels);
    const at::Tensor noise = at::empty({kBatchSize * network_.NeckCells(), network_.options().LatentChannels()}, dtype);
    FillNumbers(noise, kNoise, 0, std::sqrt(3.0));
    const VoxelPyramid voxels = *MakeVoxelPyramid(network_.options(), std::move(grid));
    Latent latent = *network_.Encode(voxels, labels, noise);
    Reconstruction reconstruction = *network_.Decode(latent.sample, kBatchSize, forced_occupied);
    VoxelVaeLossOptions options;
    options.batch_mean_over_voxels = true;
    VoxelVaeLoss loss = *ComputeVoxelVaeLoss(options, voxels, labels, latent, reconstruction);
    (loss.total / static_cast<double>(kBatchSize)).backward();  // ours is the sum over samples
    return {std::move(latent), std::move(reconstruction), std::move(loss)};
  }

  // What the script's Recorder.sample() kept of a tensor: its shape, entries and norm. Returns the larger error.
  double ErrorOf(const std::string& name, const at::Tensor& tensor) const {
    const at::Tensor shape = Golden(name + ".shape");
    EXPECT_EQ(tensor.sizes().vec(),
              std::vector<int64_t>(shape.data_ptr<int64_t>(), shape.data_ptr<int64_t>() + shape.numel()))
        << name;
    const at::Tensor flat = tensor.detach().to(at::kDouble).reshape({-1});
    const at::Tensor expected = Golden(name);
    const at::Tensor found = flat.index_select(0, Golden(name + ".index"));
    const double norm = Golden(name + ".norm").item<double>();
    return std::max((found - expected).norm().item<double>() / expected.norm().item<double>(),
                    std::abs(flat.norm().item<double>() - norm) / norm);
  }

  void ExpectGolden(const Outcome& outcome, double tolerance) const {
    double worst = 0;
    std::string worst_name;
    const auto expect = [&](const std::string& name, const at::Tensor& tensor) {
      const double error = ErrorOf(name, tensor);
      EXPECT_LT(error, tolerance) << name;
      if (error > worst) {
        worst = error;
        worst_name = name;
      }
    };
    expect("mean", outcome.latent.mean);
    expect("log_variance", outcome.latent.log_variance);
    ASSERT_EQ(outcome.reconstruction.structure.size(), 3u);
    for (const StructureLevel& structure : outcome.reconstruction.structure) {
      const std::string level = std::to_string(structure.level);
      expect("structure." + level, structure.logits);
      EXPECT_TRUE(at::equal(structure.occupied, Golden("occupied." + level))) << "level " << level;
    }
    expect("semantic", outcome.reconstruction.semantic_logits);

    const MetricTable metrics = outcome.loss.metrics();
    const std::vector<std::string>& names = metrics.names();
    const at::Tensor sums = metrics.Sums();
    for (const std::string name : {"struct-2", "struct-1", "struct-0", "semantic_-1", "kld", "sum"}) {
      const auto found = std::find(names.begin(), names.end(), "loss/" + name);
      ASSERT_NE(found, names.end()) << name;
      const at::Tensor sum = sums.select(1, found - names.begin());
      const double value = (sum[0] / sum[1]).item<double>(), expected = Golden("loss." + name).item<double>();
      EXPECT_LT(std::abs(value - expected) / expected, tolerance) << name;
    }

    const std::vector<Parameter> parameters = network_.Parameters();
    EXPECT_EQ(parameters.size(), 107u);
    for (const Parameter& parameter : parameters) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
      expect("gradient." + parameter.name, parameter.value.grad());
    }
    RecordProperty("worst_relative_error", worst_name + " " + std::to_string(worst * 1e9) + "e-9");
    std::printf("worst relative error: %s %.1e\n", worst_name.c_str(), worst);
  }

  std::unique_ptr<SafetensorsFile> golden_;
  const VoxelVaeNetwork network_{Options()};
};

TEST_F(VoxelVaeGoldenTest, DoubleEqualsTheReferenceAndDecidesAsItDoes) { ExpectGolden(Run(at::kDouble, {}), 1e-10); }

// Decisions given, since rounding may turn one that is close.
TEST_F(VoxelVaeGoldenTest, FloatIsNearTheReference) { ExpectGolden(Run(at::kFloat, GoldenMasks()), 1e-4); }

TEST_F(VoxelVaeGoldenTest, MasksOfAnotherNumberOrSizeAreRefused) {
  FillParameters(at::kFloat);
  const at::Tensor z = at::zeros({kBatchSize * network_.NeckCells(), network_.options().LatentChannels()}, at::kFloat);
  const std::vector<at::Tensor> masks = GoldenMasks();
  const absl::Status one = network_.Decode(z, kBatchSize, {masks[0]}).status();
  EXPECT_EQ(one.message(), "Decode: 1 masks for 3 levels");
  EXPECT_ANY_THROW((void)network_.Decode(z, kBatchSize, {masks[1], masks[1], masks[2]}));
  EXPECT_FALSE(network_.Decode(z, kBatchSize, {masks[0], masks[2], masks[2]}).ok());
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
