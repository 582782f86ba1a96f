#include "models/vae/voxel_vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/philox.h"
#include "base/status.h"
#include "models/vae/testing/vae_scene.h"
#include "models/vae/voxel_vae_loss.h"

namespace cubist {
namespace {

VoxelVaeOptions SmallOptions() {
  VoxelVaeOptions options;
  options.num_semantic = 5;
  options.dim_semantic = 4;
  options.encoder_channels = 8;
  options.base_channels = 8;
  options.neck_half_extent = {2, 3, 2};
  options.latent_cut_ratio = 8;
  return options;
}

// Shifts the biases of the structure heads, coarse to fine, so that each keeps about half of its candidates,
// and the one in the middle is no tie that rounding decides.
void BalanceStructureHeads(const VoxelVaeNetwork& network, const VoxelGrid& grid, const at::Tensor& labels) {
  std::map<std::string, at::Tensor> parameters;
  for (const Parameter& parameter : network.Parameters()) parameters[parameter.name] = parameter.value.detach();
  constexpr double kOffTie = 1e-5;
  for (int i = 0; i < network.options().num_levels; ++i) {
    const Reconstruction reconstruction =
        *network.Decode(network.Encode(*MakeVoxelPyramid(network.options(), grid), labels)->mean, grid.batch_size());
    const at::Tensor logits = reconstruction.structure[i].logits.detach();
    const at::Tensor margin = (logits.select(1, 0) - logits.select(1, 1)).median();
    parameters["unet.struct_convs.Struct-" + std::to_string(i + 1) + ".OutConv.bias"].select(0, 0).sub_(margin +
                                                                                                        kOffTie);
  }
}

// Two samples of random voxels with labels; some lie outside the neck's box.
VoxelGrid RandomGrid(const VoxelVaeOptions& options, at::Tensor& labels) {
  const PhiloxKey key(3, RandomPurpose::kSynthesis);
  std::vector<int32_t> coordinates;
  std::vector<int64_t> offsets = {0};
  for (int b = 0; b < 2; ++b) {
    for (int i = 0; i < 150; ++i) {
      for (int d = 0; d < 3; ++d) {
        const int half = options.neck_half_extent[d] * (d == 2 ? 2 : 4) + 1;
        coordinates.push_back(static_cast<int32_t>(PhiloxInteger(key, b, 3 * i + d, 2 * half)) - half);
      }
    }
    offsets.push_back(offsets.back() + 150);
  }
  const at::Tensor ijk = at::zeros({300, 3}, at::kInt);
  std::copy(coordinates.begin(), coordinates.end(), ijk.data_ptr<int32_t>());
  VoxelGrid grid = *GridFromIjk(ijk, offsets, options.TransformAt(0));
  labels = at::zeros({grid.num_voxels()}, at::kLong);
  for (int64_t i = 0; i < labels.numel(); ++i) {
    labels.data_ptr<int64_t>()[i] = static_cast<int64_t>(PhiloxInteger(key, 9, i, options.num_semantic));
  }
  return grid;
}

// The same network over whole boxes with masks, from LibTorch's dense operations only: an oracle that
// shares nothing with the sparse code but the parameters. One sample; tensors are [1, C, X, Y, Z] with a
// mask [X, Y, Z].
class DenseOracle {
 public:
  DenseOracle(const VoxelVaeNetwork& network) : options_(network.options()) {
    for (const Parameter& parameter : network.Parameters()) parameters_[parameter.name] = parameter.value.detach();
  }

  struct Volume {
    at::Tensor x;
    at::Tensor mask;
  };

  at::Tensor Moments(const VoxelGrid& grid, const at::Tensor& labels, int64_t sample) const {
    // Level 0 in a box with a margin, since the encoder also sees what lies outside of the neck.
    const std::array<int64_t, 3> cells = BoxAt(0);
    const int64_t margin = 4;
    std::vector<int64_t> extent;
    for (int d = 0; d < 3; ++d) extent.push_back(cells[d] + 2 * margin);
    Volume volume{at::zeros({1, options_.encoder_channels, extent[0], extent[1], extent[2]}, at::kDouble),
                  at::zeros(extent, at::kBool)};
    for (int64_t row = grid.host_offsets[sample]; row < grid.host_offsets[sample + 1]; ++row) {
      std::array<int64_t, 3> cell;
      std::vector<double> position;
      for (int d = 0; d < 3; ++d) {
        const int64_t index = grid.ijk[row][d].item<int32_t>();
        cell[d] = index + cells[d] / 2 + margin;
        position.push_back((static_cast<double>(index) + 0.5) * options_.voxel_size);
      }
      std::vector<double> features = position;
      for (const double frequency : {1, 2, 4, 8, 16}) {
        for (const double p : position) features.push_back(std::sin(p * frequency));
        for (const double p : position) features.push_back(std::cos(p * frequency));
      }
      at::Tensor input = at::zeros({static_cast<int64_t>(features.size())}, at::kDouble);
      std::copy(features.begin(), features.end(), input.data_ptr<double>());
      input = at::cat({input, P("encoder.semantic_embed_fn.weight")[labels[row].item<int64_t>()]});
      at::Tensor mixed = P("encoder.mix_fc.weight").matmul(input) + P("encoder.mix_fc.bias");
      mixed = P("unet.pre_conv.weight").matmul(mixed) + P("unet.pre_conv.bias");
      volume.x.select(0, 0).select(1, cell[0]).select(1, cell[1]).select(1, cell[2]).copy_(mixed);
      volume.mask[cell[0]][cell[1]][cell[2]].fill_(true);
    }
    for (int level = 0; level < options_.num_levels; ++level) {
      if (level > 0) volume = MaxPool(volume, level);
      volume = Residual(volume, "unet.encoders.Enc" + std::to_string(level) + "-Block0");
    }
    // The margin is one neck cell, or two where the height was pooled once.
    const auto dims = BoxAt(options_.num_levels - 1);
    for (int d = 0; d < 3; ++d) {
      const int64_t skip = (volume.x.size(2 + d) - dims[d]) / 2;
      volume.x = volume.x.narrow(2 + d, skip, dims[d]);
    }
    volume.mask = at::full({dims[0], dims[1], dims[2]}, true, at::kBool);
    const std::string prefix = "unet.pre_kl_bottleneck.pre_kl_bottleneck_";
    volume = Residual(Residual(volume, prefix + "0"), prefix + "1");
    volume = Normalize(volume, prefix + "gn.module");
    return Convolve(volume, prefix + "2.module").x;
  }

  // Logits and mask of candidates of each level, and the class logits.
  struct Level {
    Volume logits;
  };
  std::vector<Volume> Decode(const at::Tensor& z) const {
    std::vector<Volume> result;
    const auto dims = BoxAt(options_.num_levels - 1);
    Volume volume{z, at::full({dims[0], dims[1], dims[2]}, true, at::kBool)};
    const std::string prefix = "unet.post_kl_bottleneck.post_kl_bottleneck_";
    volume = Residual(Residual(volume, prefix + "0"), prefix + "1");
    for (int level = options_.num_levels - 1;; --level) {
      const std::string index = std::to_string(options_.num_levels - level);
      result.push_back(HeadOf(volume, "unet.struct_convs.Struct-" + index));
      const at::Tensor logits = result.back().x[0];
      volume.mask = volume.mask.logical_and(logits[0].gt(logits[1]));
      volume.x = at::where(volume.mask, volume.x, at::zeros({}, at::kDouble));
      if (level == 0) {
        result.push_back(HeadOf(volume, "unet.semantic_head"));
        return result;
      }
      const auto factor = options_.PoolingFactor(level);
      for (int d = 0; d < 3; ++d) {
        volume.x = volume.x.repeat_interleave(factor[d], 2 + d);
        volume.mask = volume.mask.repeat_interleave(factor[d], d);
      }
      const std::string name = "unet.decoders.Dec-" + std::to_string(options_.num_levels - level + 1) + ".";
      volume = Residual(Residual(volume, name + "0"), name + "1");
    }
  }

  std::array<int64_t, 3> BoxAt(int level) const {
    std::array<int64_t, 3> cells = {2 * options_.neck_half_extent[0], 2 * options_.neck_half_extent[1],
                                    2 * options_.neck_half_extent[2]};
    for (int l = options_.num_levels - 1; l > level; --l) {
      for (int d = 0; d < 3; ++d) cells[d] *= options_.PoolingFactor(l)[d];
    }
    return cells;
  }

 private:
  const at::Tensor& P(const std::string& name) const { return parameters_.at(name); }

  Volume Masked(const Volume& volume) const {
    return {at::where(volume.mask, volume.x, at::zeros({}, at::kDouble)), volume.mask};
  }

  // Tap by tap, so that nothing rests on a library's idea of the axes: weight[o, c, dz, dy, dx].
  Volume Convolve(const Volume& volume, const std::string& name) const {
    const at::Tensor& weight = P(name + ".weight");
    const at::Tensor& x = volume.x;
    at::Tensor y = at::zeros({1, weight.size(0), x.size(2), x.size(3), x.size(4)}, at::kDouble);
    for (int dx = -1; dx <= 1; ++dx) {
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dz = -1; dz <= 1; ++dz) {
          const int offset[3] = {dx, dy, dz};
          at::Tensor source = x, target = y;
          for (int d = 0; d < 3; ++d) {
            const int64_t length = x.size(2 + d) - std::abs(offset[d]);
            source = source.narrow(2 + d, std::max(0, offset[d]), length);
            target = target.narrow(2 + d, std::max(0, -offset[d]), length);
          }
          const at::Tensor tap = weight.select(4, dx + 1).select(3, dy + 1).select(2, dz + 1);
          target.add_(at::conv3d(source, tap.reshape({tap.size(0), tap.size(1), 1, 1, 1})));
        }
      }
    }
    if (parameters_.count(name + ".bias") > 0) y = y + P(name + ".bias").view({1, -1, 1, 1, 1});
    return Masked({y, volume.mask});
  }

  Volume Normalize(const Volume& volume, const std::string& name) const {
    const int64_t channels = volume.x.size(1), groups = channels < options_.norm_groups ? 1 : options_.norm_groups;
    at::Tensor result = volume.x.clone();
    for (int64_t g = 0; g < groups; ++g) {
      const at::Tensor part = volume.x.narrow(1, g * channels / groups, channels / groups);
      const at::Tensor values = part.masked_select(volume.mask);
      const at::Tensor mean = values.mean(), variance = (values - mean).square().mean();
      result.narrow(1, g * channels / groups, channels / groups).copy_((part - mean) / at::sqrt(variance + 1e-5));
    }
    const std::vector<int64_t> shape = {1, -1, 1, 1, 1};
    return Masked({result * P(name + ".weight").view(shape) + P(name + ".bias").view(shape), volume.mask});
  }

  Volume Pointwise(const Volume& volume, const std::string& name) const {
    const at::Tensor& weight = P(name + ".weight");
    const at::Tensor y = at::conv3d(volume.x, weight.view({weight.size(0), weight.size(1), 1, 1, 1})) +
                         P(name + ".bias").view({1, -1, 1, 1, 1});
    return Masked({y, volume.mask});
  }

  Volume Block(const Volume& volume, const std::string& name) const {
    Volume result = Convolve(Normalize(volume, name + ".GroupNorm"), name + ".Conv");
    result.x = at::silu(result.x);
    return result;
  }

  Volume Residual(const Volume& volume, const std::string& name) const {
    Volume result = Block(Block(volume, name + ".conv1"), name + ".conv2");
    const bool has_skip = parameters_.count(name + ".skip_connection.weight") > 0;
    result.x = result.x + (has_skip ? Pointwise(volume, name + ".skip_connection").x : volume.x);
    return result;
  }

  Volume HeadOf(const Volume& volume, const std::string& name) const {
    return Pointwise(Block(volume, name + ".SingleConv"), name + ".OutConv");
  }

  Volume MaxPool(const Volume& volume, int level) const {
    const auto f = options_.PoolingFactor(level);
    const at::Tensor lowest = at::full({}, -1e300, at::kDouble);
    const at::Tensor filled = at::where(volume.mask, volume.x, lowest);
    const at::Tensor pooled = at::max_pool3d(filled, {f[0], f[1], f[2]});
    const at::Tensor mask = pooled[0][0].gt(-1e299);
    return Masked({pooled, mask});
  }

  VoxelVaeOptions options_;
  std::map<std::string, at::Tensor> parameters_;
};

TEST(VoxelVaeNetworkTest, FullRecipeHasTheReferencesParameters) {
  const VoxelVaeNetwork network((VoxelVaeOptions()));
  const std::vector<Parameter> parameters = network.Parameters();
  int64_t count = 0;
  std::set<std::string> names;
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const Parameter& parameter : parameters) {
    count += parameter.value.numel();
    names.insert(parameter.name);
    shapes[parameter.name] = parameter.value.sizes().vec();
  }
  EXPECT_EQ(count, 19593021);
  EXPECT_EQ(parameters.size(), 107u);
  EXPECT_EQ(names.size(), 107u);
  EXPECT_EQ(parameters[0].name, "encoder.semantic_embed_fn.weight");
  EXPECT_EQ(parameters[3].name, "unet.encoders.Enc0-Block0.conv1.GroupNorm.weight");
  EXPECT_EQ(parameters.back().name, "unet.semantic_head.OutConv.bias");
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(shapes["encoder.mix_fc.weight"], (Shape{32, 65}));
  EXPECT_EQ(shapes["unet.encoders.Enc0-Block0.conv2.Conv.weight"], (Shape{64, 32, 3, 3, 3}));
  EXPECT_EQ(shapes["unet.encoders.Enc2-Block0.skip_connection.weight"], (Shape{256, 128}));
  EXPECT_EQ(shapes["unet.pre_kl_bottleneck.pre_kl_bottleneck_gn.module.bias"], (Shape{256}));
  EXPECT_EQ(shapes["unet.pre_kl_bottleneck.pre_kl_bottleneck_2.module.bias"], (Shape{16}));
  EXPECT_EQ(shapes["unet.post_kl_bottleneck.post_kl_bottleneck_0.conv1.GroupNorm.weight"], (Shape{8}));
  EXPECT_EQ(shapes["unet.post_kl_bottleneck.post_kl_bottleneck_0.conv1.Conv.weight"], (Shape{256, 8, 3, 3, 3}));
  EXPECT_EQ(shapes["unet.decoders.Dec-2.0.conv1.Conv.weight"], (Shape{128, 256, 3, 3, 3}));
  EXPECT_EQ(shapes["unet.decoders.Dec-3.1.conv2.Conv.weight"], (Shape{64, 64, 3, 3, 3}));
  EXPECT_EQ(shapes["unet.struct_convs.Struct-1.OutConv.weight"], (Shape{2, 256}));
  EXPECT_EQ(shapes["unet.struct_convs.Struct-3.SingleConv.Conv.weight"], (Shape{64, 64, 3, 3, 3}));
  EXPECT_EQ(shapes["unet.semantic_head.OutConv.weight"], (Shape{23, 64}));
}

TEST(VoxelVaeNetworkTest, LevelsOfTheRecipe) {
  const VoxelVaeOptions options;
  EXPECT_EQ(options.LatentChannels(), 8);
  const GridTransform neck = options.TransformAt(2);
  EXPECT_DOUBLE_EQ(neck.voxel_size[0], 0.8);
  EXPECT_DOUBLE_EQ(neck.voxel_size[2], 0.4);
  EXPECT_DOUBLE_EQ(neck.origin[0], 0.4);
  EXPECT_DOUBLE_EQ(neck.origin[2], 0.2);
  EXPECT_DOUBLE_EQ(options.TransformAt(1).origin[2], 0.1);
}

TEST(VoxelVaeNetworkTest, EqualsTheDenseOracle) {
  const VoxelVaeOptions options = SmallOptions();
  const VoxelVaeNetwork network(options);
  PlaceParameters(network, 11, at::kDouble, at::kCPU);
  at::Tensor labels;
  const VoxelGrid grid = RandomGrid(options, labels);
  BalanceStructureHeads(network, grid, labels);
  const Latent latent = *network.Encode(*MakeVoxelPyramid(network.options(), grid), labels);
  const Reconstruction reconstruction = *network.Decode(latent.mean, 2);

  const DenseOracle oracle(network);
  const int64_t channels = options.LatentChannels();
  std::vector<std::vector<DenseOracle::Volume>> expected;
  for (int64_t b = 0; b < 2; ++b) {
    const at::Tensor moments = oracle.Moments(grid, labels, b);
    const at::Tensor rows = moments[0].permute({1, 2, 3, 0}).reshape({-1, 2 * channels});
    const int64_t cells = network.NeckCells();
    EXPECT_LT((latent.mean.narrow(0, b * cells, cells) - rows.narrow(1, 0, channels)).abs().max().item<double>(), 1e-9);
    EXPECT_LT((latent.log_variance.narrow(0, b * cells, cells) - rows.narrow(1, channels, channels))
                  .abs()
                  .max()
                  .item<double>(),
              1e-9);
    expected.push_back(oracle.Decode(moments.narrow(1, 0, channels)));
  }

  const auto compare = [&](const at::Tensor& ijk, const std::vector<int64_t>& offsets, const at::Tensor& logits,
                           size_t which, int level) {
    const auto box = oracle.BoxAt(level);
    for (int64_t b = 0; b < 2; ++b) {
      const DenseOracle::Volume& volume = expected[b][which];
      EXPECT_EQ(offsets[b + 1] - offsets[b], volume.mask.sum().item<int64_t>()) << "candidates of level " << level;
      for (int64_t row = offsets[b]; row < offsets[b + 1]; ++row) {
        at::Tensor cell = volume.x[0];
        for (int d = 0; d < 3; ++d) cell = cell.select(1, ijk[row][d].item<int32_t>() + box[d] / 2);
        ASSERT_LT((cell - logits[row]).abs().max().item<double>(), 1e-8) << "level " << level << ", row " << row;
      }
    }
  };
  ASSERT_EQ(reconstruction.structure.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const StructureLevel& structure = reconstruction.structure[i];
    const int64_t kept = structure.occupied.sum().item<int64_t>();
    EXPECT_GT(kept, structure.occupied.numel() / 20) << "a test of pruning needs both kinds";
    EXPECT_LT(kept, structure.occupied.numel() * 19 / 20);
    compare(structure.ijk, structure.candidates.offsets(), structure.logits, i, structure.level);
  }
  ASSERT_GT(reconstruction.grid.num_voxels(), 0);
  compare(reconstruction.grid.ijk, reconstruction.grid.host_offsets, reconstruction.semantic_logits, 3, 0);
}

TEST(VoxelVaeNetworkTest, GradientsOfTheLossMatchFiniteDifferences) {
  VoxelVaeOptions options = SmallOptions();
  options.neck_half_extent = {2, 2, 1};
  const VoxelVaeNetwork network(options);
  PlaceParameters(network, 12, at::kDouble, at::kCPU);
  at::Tensor labels;
  const VoxelGrid grid = RandomGrid(options, labels);
  BalanceStructureHeads(network, grid, labels);
  const auto loss = [&] {
    const at::Tensor noise = at::full({2 * network.NeckCells(), options.LatentChannels()}, 0.3, at::kDouble);
    const Latent latent = *network.Encode(*MakeVoxelPyramid(network.options(), grid), labels, noise);
    const Reconstruction reconstruction = *network.Decode(latent.sample, 2);
    return ComputeVoxelVaeLoss({}, *MakeVoxelPyramid(options, grid), labels, latent, reconstruction)->total;
  };
  loss().backward();
  const PhiloxKey key(1, RandomPurpose::kSynthesis);
  uint64_t n = 0;
  for (const Parameter& parameter : network.Parameters()) {
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    // Every fifth tensor: each kind of block comes up, and the test stays short.
    if (n++ % 5 != 0) continue;
    double* element =
        parameter.value.data_ptr<double>() + static_cast<int64_t>(PhiloxInteger(key, n, 0, parameter.value.numel()));
    const double analytic = parameter.value.grad().data_ptr<double>()[element - parameter.value.data_ptr<double>()];
    const double before = *element, delta = 1e-6;
    *element = before + delta;
    const double above = loss().item<double>();
    *element = before - delta;
    const double below = loss().item<double>();
    *element = before;
    // Masks are hard: where one flips within delta the difference quotient is no derivative.
    EXPECT_NEAR((above - below) / (2 * delta), analytic, 1e-4 * (1 + std::abs(analytic))) << parameter.name;
  }
}

TEST(VoxelVaeNetworkTest, MoreCandidatesThanAllowedAreNamed) {
  VoxelVaeOptions options = SmallOptions();
  at::Tensor labels;
  const VoxelGrid grid = RandomGrid(options, labels);
  const auto decode = [&](int64_t max_candidates) {
    options.max_candidates = max_candidates;
    const VoxelVaeNetwork network(options);
    PlaceParameters(network, 12, at::kDouble, at::kCPU);
    // Every cell of the neck is kept: 8 children each, in both samples.
    const at::Tensor all = at::full({2 * network.NeckCells()}, true, at::kBool);
    const std::vector<at::Tensor> occupied = {all, at::full({16 * network.NeckCells()}, false, at::kBool),
                                              at::full({0}, false, at::kBool)};
    return network.Decode(network.Encode(*MakeVoxelPyramid(network.options(), grid), labels)->mean, 2, occupied)
        .status();
  };
  const int64_t candidates = 8 * VoxelVaeNetwork(options).NeckCells();
  EXPECT_TRUE(decode(candidates).ok());
  const absl::Status refused = decode(candidates - 1);
  EXPECT_EQ(ExitCodeOf(refused), ExitCode::kConfig);
  EXPECT_NE(refused.message().find(std::to_string(candidates) + " candidate voxels on level 1"), std::string::npos);
}

}  // namespace
}  // namespace cubist
