#include "tests/golden_values/voxel_vae_golden.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "base/philox.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {
namespace {

constexpr uint32_t kSeed = 9;
constexpr uint64_t kNoise = uint64_t{1} << 32;

// The script's float32_numbers().
void FillNumbers(const at::Tensor& tensor, uint64_t n, double centre, double bound) {
  const PhiloxKey key(kSeed, RandomPurpose::kSynthesis);
  const at::Tensor numbers = at::empty(tensor.sizes(), at::kFloat);
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    numbers.data_ptr<float>()[i] = static_cast<float>(centre + bound * (2 * PhiloxUniform(key, n, i) - 1));
  }
  tensor.copy_(numbers);
}

}  // namespace

VoxelVaeOptions VoxelVaeGoldenTest::Options() {
  VoxelVaeOptions options;
  options.neck_half_extent = {8, 8, 8};
  return options;
}

void VoxelVaeGoldenTest::SetUp() {
  namespace fs = std::filesystem;
  const std::string packed = fs::read_symlink("/proc/self/exe").parent_path().string() + "/voxel_vae.safetensors";
  auto file = SafetensorsFile::Open(fs::exists(packed) ? packed : "tests/golden_values/testdata/voxel_vae.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  golden_ = *std::move(file);
}

at::Tensor VoxelVaeGoldenTest::Golden(const std::string& name) const {
  const absl::StatusOr<HostTensor> tensor = golden_->Read(name);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return FromHost(*tensor, at::kCPU);
}

std::vector<at::Tensor> VoxelVaeGoldenTest::GoldenMasks(at::Device device) const {
  return {Golden("occupied.2").to(device), Golden("occupied.1").to(device), Golden("occupied.0").to(device)};
}

// The recorded scene, with the rows in our order.
void VoxelVaeGoldenTest::ReadScene(VoxelGrid& grid, at::Tensor& labels) const {
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

void VoxelVaeGoldenTest::FillParameters(at::ScalarType dtype, at::Device device) const {
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
    handle.set_data(value.to(device));
    ++place;
  }
}

VoxelVaeGoldenTest::Outcome VoxelVaeGoldenTest::Run(at::ScalarType dtype, at::Device device,
                                                    const std::vector<at::Tensor>& forced_occupied) const {
  FillParameters(dtype, device);
  VoxelGrid grid;
  at::Tensor labels;
  ReadScene(grid, labels);
  const at::Tensor noise = at::empty({kBatchSize * network_.NeckCells(), network_.options().LatentChannels()}, dtype);
  FillNumbers(noise, kNoise, 0, std::sqrt(3.0));
  const VoxelPyramid voxels = MakeVoxelPyramid(network_.options(), std::move(grid))->To(device);
  labels = labels.to(device);
  Latent latent = *network_.Encode(voxels, labels, noise.to(device));
  Reconstruction reconstruction = *network_.Decode(latent.sample, kBatchSize, forced_occupied);
  VoxelVaeLossOptions options;
  options.batch_mean_over_voxels = true;
  VoxelVaeLoss loss = *ComputeVoxelVaeLoss(options, voxels, labels, latent, reconstruction);
  (loss.total / static_cast<double>(kBatchSize)).backward();  // ours is the sum over samples
  return {std::move(latent), std::move(reconstruction), std::move(loss)};
}

// What the script's Recorder.sample() kept of a tensor: its shape, entries and norm. Returns the larger error.
double VoxelVaeGoldenTest::ErrorOf(const std::string& name, const at::Tensor& tensor) const {
  const at::Tensor shape = Golden(name + ".shape");
  EXPECT_EQ(tensor.sizes().vec(),
            std::vector<int64_t>(shape.data_ptr<int64_t>(), shape.data_ptr<int64_t>() + shape.numel()))
      << name;
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kDouble).reshape({-1});
  const at::Tensor expected = Golden(name);
  const at::Tensor found = flat.index_select(0, Golden(name + ".index"));
  const double norm = Golden(name + ".norm").item<double>();
  return std::max((found - expected).norm().item<double>() / expected.norm().item<double>(),
                  std::abs(flat.norm().item<double>() - norm) / norm);
}

void VoxelVaeGoldenTest::ExpectGolden(const Outcome& outcome, double tolerance) const {
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
    EXPECT_TRUE(at::equal(structure.occupied.cpu(), Golden("occupied." + level))) << "level " << level;
  }
  expect("semantic", outcome.reconstruction.semantic_logits);

  ExpectGoldenLosses(outcome, tolerance);

  const std::vector<Parameter> parameters = network_.Parameters();
  EXPECT_EQ(parameters.size(), 107u);
  for (const Parameter& parameter : parameters) {
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    expect("gradient." + parameter.name, parameter.value.grad());
  }
  RecordProperty("worst_relative_error", worst_name + " " + std::to_string(worst * 1e9) + "e-9");
  std::printf("worst relative error: %s %.1e\n", worst_name.c_str(), worst);
}

void VoxelVaeGoldenTest::ExpectGoldenLosses(const Outcome& outcome, double tolerance) const {
  const MetricTable metrics = outcome.loss.metrics();
  const std::vector<std::string>& names = metrics.names();
  const at::Tensor sums = metrics.Sums().cpu();
  for (const std::string name : {"struct-2", "struct-1", "struct-0", "semantic_-1", "kld", "sum"}) {
    const auto found = std::find(names.begin(), names.end(), "loss/" + name);
    ASSERT_NE(found, names.end()) << name;
    const at::Tensor sum = sums.select(1, found - names.begin());
    const double value = (sum[0] / sum[1]).item<double>(), expected = Golden("loss." + name).item<double>();
    EXPECT_LT(std::abs(value - expected) / expected, tolerance) << name;
  }
}

}  // namespace cubist
