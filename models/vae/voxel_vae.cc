#include "models/vae/voxel_vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/gather_rows/gather_rows_torch.h"
#include "kernels/latent_sample/latent_sample_torch.h"
#include "kernels/max_pool/max_pool_torch.h"

namespace cubist {
namespace {

constexpr int64_t kPositionChannels = 33;

// Coordinates of all cells of the boxes, rows as in a dense VoxelDomain: int32 [B * X * Y * Z, 3].
at::Tensor BoxCoordinates(int64_t batch_size, const std::array<int, 3>& dims, const std::array<int, 3>& first,
                          at::Device device) {
  const auto axis = [&](int d, at::IntArrayRef shape) {
    return at::arange(first[d], first[d] + dims[d], at::TensorOptions().dtype(at::kInt).device(device))
        .view(shape)
        .expand({batch_size, dims[0], dims[1], dims[2]})
        .reshape({-1, 1});
  };
  return at::cat({axis(0, {1, -1, 1, 1}), axis(1, {1, 1, -1, 1}), axis(2, {1, 1, 1, -1})}, 1);
}

// Class 0 is "occupied", and ties are empty.
at::Tensor OccupiedMask(const at::Tensor& logits) {
  const at::Tensor detached = logits.detach();
  return detached.select(1, 0).gt(detached.select(1, 1));
}

}  // namespace

std::array<int, 3> VoxelVaeOptions::PoolingFactor(int level) const {
  const bool pools_height =
      std::find(pool_height_levels.begin(), pool_height_levels.end(), level) != pool_height_levels.end();
  return {2, 2, pools_height ? 2 : 1};
}

GridTransform VoxelVaeOptions::TransformAt(int level) const {
  GridTransform transform;
  transform.voxel_size = {voxel_size, voxel_size, voxel_size};
  transform.origin = {voxel_size / 2, voxel_size / 2, voxel_size / 2};
  for (int l = 1; l <= level; ++l) transform = transform.Coarsened(PoolingFactor(l));
  return transform;
}

absl::StatusOr<VoxelPyramid> MakeVoxelPyramid(const VoxelVaeOptions& options, VoxelGrid grid) {
  VoxelPyramid pyramid;
  pyramid.grids.push_back(std::move(grid));
  for (int level = 1; level < options.num_levels; ++level) {
    ASSIGN_OR_RETURN(Coarsened coarsened, Coarsen(pyramid.grids.back(), options.PoolingFactor(level)));
    pyramid.grids.push_back(std::move(coarsened.grid));
    pyramid.parents.push_back(std::move(coarsened.parent));
  }
  return pyramid;
}

VoxelPyramid VoxelPyramid::To(at::Device device) const {
  VoxelPyramid moved;
  for (const VoxelGrid& grid : grids) moved.grids.push_back(grid.To(device));
  for (const at::Tensor& parent : parents) {
    moved.parents.push_back(parent.to(device, at::kLong, /*non_blocking=*/!device.is_cpu()));
  }
  return moved;
}

VoxelPyramid VoxelPyramid::Pinned() const {
  VoxelPyramid pinned;
  for (const VoxelGrid& grid : grids) pinned.grids.push_back(grid.Pinned());
  for (const at::Tensor& parent : parents) pinned.parents.push_back(parent.pin_memory());
  return pinned;
}

VoxelVaeNetwork::VoxelVaeNetwork(const VoxelVaeOptions& options) : options_(options) {
  const int64_t groups = options.norm_groups;
  const int levels = options.num_levels;
  const int64_t neck = options.ChannelsAt(levels - 1);
  const int64_t latent = options.LatentChannels();
  // Names and order of registration are those of the reference's checkpoints.
  const auto add = [this](const std::string& name, auto& slot, auto module) {
    slot = std::move(module);
    RegisterModule(name, *slot);
  };
  const auto residual = [groups](int64_t in, int64_t middle, int64_t out) {
    return std::make_unique<ResidualBlock>(in, middle, out, groups);
  };

  add("encoder.semantic_embed_fn", semantic_embedding_,
      std::make_unique<Embedding>(options.num_semantic, options.dim_semantic));
  add("encoder.mix_fc", mix_,
      std::make_unique<Linear>(kPositionChannels + options.dim_semantic, options.encoder_channels));

  for (int level = 0; level < levels; ++level) {
    const int64_t in = level == 0 ? options.encoder_channels : options.ChannelsAt(level - 1);
    const int64_t out = options.ChannelsAt(level);
    add("unet.encoders.Enc" + std::to_string(level) + "-Block0", encoders_.emplace_back(),
        residual(in, std::max(in, out / 2), out));
  }
  for (int i = 0; i < 2; ++i) {
    add("unet.pre_kl_bottleneck.pre_kl_bottleneck_" + std::to_string(i), pre_latent_.emplace_back(),
        residual(neck, neck, neck));
  }
  add("unet.pre_kl_bottleneck.pre_kl_bottleneck_gn.module", pre_latent_norm_,
      std::make_unique<GroupNormalization>(neck, groups));
  add("unet.pre_kl_bottleneck.pre_kl_bottleneck_2.module", pre_latent_convolution_,
      std::make_unique<Convolution>(neck, 2 * latent, /*with_bias=*/true));
  for (int i = 0; i < 2; ++i) {
    add("unet.post_kl_bottleneck.post_kl_bottleneck_" + std::to_string(i), post_latent_.emplace_back(),
        residual(i == 0 ? latent : neck, neck, neck));
  }
  for (int level = levels - 2; level >= 0; --level) {
    const std::string name = "unet.decoders.Dec-" + std::to_string(levels - level) + ".";
    const int64_t in = options.ChannelsAt(level + 1), out = options.ChannelsAt(level);
    auto& blocks = decoders_.emplace_back();
    add(name + "0", blocks[0], residual(in, out, out));
    add(name + "1", blocks[1], residual(out, out, out));
  }
  for (int level = levels - 1; level >= 0; --level) {
    add("unet.struct_convs.Struct-" + std::to_string(levels - level), structure_heads_.emplace_back(),
        std::make_unique<Head>(options.ChannelsAt(level), 2, groups));
  }
  add("unet.pre_conv", pre_convolution_, std::make_unique<Linear>(options.encoder_channels, options.encoder_channels));
  add("unet.semantic_head", semantic_head_,
      std::make_unique<Head>(options.ChannelsAt(0), options.num_semantic, groups));
}

std::array<int, 3> VoxelVaeNetwork::NeckFirst() const {
  const auto& half = options_.neck_half_extent;
  return {-half[0], -half[1], -half[2]};
}

std::array<int, 3> VoxelVaeNetwork::NeckDims() const {
  const auto& half = options_.neck_half_extent;
  return {2 * half[0], 2 * half[1], 2 * half[2]};
}

int64_t VoxelVaeNetwork::NeckCells() const {
  const auto dims = NeckDims();
  return int64_t{dims[0]} * dims[1] * dims[2];
}

at::Tensor PositionalEncoding(const at::Tensor& position) {
  std::vector<at::Tensor> parts = {position};
  for (const double frequency : {1.0, 2.0, 4.0, 8.0, 16.0}) {
    const at::Tensor angle = position * frequency;
    parts.push_back(at::sin(angle));
    parts.push_back(at::cos(angle));
  }
  return at::cat(parts, 1);
}

absl::StatusOr<Latent> VoxelVaeNetwork::Encode(const VoxelPyramid& voxels, const at::Tensor& labels,
                                               const std::optional<at::Tensor>& noise) const {
  const VoxelGrid& finest = voxels.grids[0];
  const at::Tensor embedded = semantic_embedding_->Forward(labels);
  at::Tensor x = mix_->Forward(
      at::cat({PositionalEncoding(VoxelCentres(finest.ijk, finest.transform, embedded.scalar_type())), embedded}, 1));
  x = Features(pre_convolution_->Forward(x));

  for (int level = 0; level < options_.num_levels; ++level) {
    if (level > 0) x = MaxPool(x, voxels.parents[level - 1], voxels.grids[level].num_voxels());
    ASSIGN_OR_RETURN(const VoxelDomain domain, VoxelDomain::Sparse(voxels.grids[level]));
    x = encoders_[level]->Forward(domain, x);
  }

  ASSIGN_OR_RETURN(x, FillNeck(voxels.grids.back(), x));
  const VoxelDomain neck(finest.batch_size(), NeckDims(), x.device());
  for (const auto& block : pre_latent_) x = block->Forward(neck, x);
  x = pre_latent_convolution_->Forward(neck, pre_latent_norm_->Forward(neck, x)).to(embedded.scalar_type());
  const int64_t channels = options_.LatentChannels();
  auto [sample, divergence] = LatentSample(x, noise);
  return Latent{x.narrow(1, 0, channels), x.narrow(1, channels, channels), std::move(sample), std::move(divergence)};
}

// Features of the coarsest sparse grid in the dense neck; cells without a voxel are zero.
absl::StatusOr<at::Tensor> VoxelVaeNetwork::FillNeck(const VoxelGrid& grid, const at::Tensor& x) const {
  ASSIGN_OR_RETURN(const at::Tensor cell, DenseIndex(grid, NeckFirst(), NeckDims()));  // [N], -1 outside the box
  // The last place is for voxels outside the box.
  const int64_t cells = grid.batch_size() * NeckCells();
  at::Tensor source = at::full({cells + 1}, -1, cell.options());
  source.index_put_({at::where(cell.lt(0), cells, cell)}, at::arange(cell.size(0), cell.options()));
  return GatherRows(x, source.narrow(0, 0, cells));
}

at::Tensor VoxelVaeNetwork::Features(const at::Tensor& x) const {
  return options_.bfloat16_features ? x.to(at::kBFloat16) : x;
}

absl::Status VoxelVaeNetwork::CheckCandidates(int level, const VoxelGrid& grid) const {
  for (int64_t b = 0; b < grid.batch_size(); ++b) {
    const int64_t candidates = grid.host_offsets[b + 1] - grid.host_offsets[b];
    if (candidates <= options_.max_candidates) continue;
    return ConfigError(absl::StrCat(
        "the decoder has ", candidates, " candidate voxels on level ", level,
        " of a sample, more than voxel_vae.max_candidates allows (", options_.max_candidates,
        "): one that has learnt asks for fewer; where memory allows it, set voxel_vae.max_candidates higher"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Reconstruction> VoxelVaeNetwork::Decode(const at::Tensor& z, int64_t batch_size,
                                                       const std::vector<at::Tensor>& forced_occupied) const {
  if (!forced_occupied.empty() && forced_occupied.size() != static_cast<size_t>(options_.num_levels)) {
    return InternalError(
        absl::StrCat("Decode: ", forced_occupied.size(), " masks for ", options_.num_levels, " levels"));
  }
  const std::array<int, 3> first = NeckFirst(), dims = NeckDims();
  Reconstruction result;

  VoxelDomain domain(batch_size, dims, z.device());
  at::Tensor x = Features(z);
  for (const auto& block : post_latent_) x = block->Forward(domain, x);
  at::Tensor ijk = BoxCoordinates(batch_size, dims, first, z.device());

  const int coarsest = options_.num_levels - 1;
  for (int level = coarsest;; --level) {
    const at::Tensor logits = structure_heads_[coarsest - level]->Forward(domain, x);
    const at::Tensor occupied = forced_occupied.empty() ? OccupiedMask(logits) : forced_occupied[coarsest - level];
    result.structure.push_back({level, domain, ijk, logits, occupied});

    // What is kept of this level, or, if there is a finer one, its children; and the row of `x` of each.
    const std::array<int, 3> factor = level == 0 ? std::array<int, 3>{1, 1, 1} : options_.PoolingFactor(level);
    Subdivided children;
    if (domain.is_dense()) {
      ASSIGN_OR_RETURN(const DenseGrid kept, GridFromDenseMask(occupied.view({batch_size, dims[0], dims[1], dims[2]}),
                                                               first, options_.TransformAt(level)));
      const at::Tensor all = at::full({kept.grid.num_voxels()}, true, occupied.options());
      ASSIGN_OR_RETURN(children, Subdivide(kept.grid, factor, all));
      children.parent = kept.dense_index.index_select(0, children.parent);
    } else {
      ASSIGN_OR_RETURN(children, Subdivide(domain.grid(), factor, occupied));
    }
    x = GatherRows(x, children.parent);
    if (level == 0) {
      result.grid = children.grid;
      if (children.grid.num_voxels() > 0) {
        ASSIGN_OR_RETURN(const VoxelDomain kept, VoxelDomain::Sparse(std::move(children.grid)));
        result.semantic_logits = semantic_head_->Forward(kept, x);
      }
      return result;
    }
    RETURN_IF_ERROR(CheckCandidates(level - 1, children.grid));
    ijk = children.grid.ijk;
    ASSIGN_OR_RETURN(domain, VoxelDomain::Sparse(std::move(children.grid)));
    for (const auto& block : decoders_[coarsest - level]) x = block->Forward(domain, x);
  }
}

}  // namespace cubist
