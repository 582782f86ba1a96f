// The voxel VAE: a sparse grid of labelled voxels to a dense latent and back (spec: the network of
// InfiniCube's `autoencoder` with `StructPredictionNet`).
//
// Levels: 0 is the finest; level l has base_channels * 2^l channels and its cells are those of level
// l - 1 pooled by 2 in x and y and, at the levels of pool_height_levels, in z. The coarsest level is the
// neck, a dense box of 2 * neck_half_extent cells around the origin.
//
// The decoder predicts at every level which candidates are occupied, and subdivides what it
// predicted itself: there is no teacher forcing, in training either.
#ifndef CUBIST_MODELS_VAE_VOXEL_VAE_H_
#define CUBIST_MODELS_VAE_VOXEL_VAE_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "models/nn/layers.h"
#include "models/nn/module.h"
#include "models/nn/voxel_domain.h"

namespace cubist {

struct VoxelVaeOptions {
  int64_t num_semantic = 23;
  int64_t dim_semantic = 32;
  int64_t encoder_channels = 32;
  int64_t base_channels = 64;
  int num_levels = 3;
  std::vector<int> pool_height_levels = {2};
  std::array<int, 3> neck_half_extent = {32, 32, 32};
  int64_t latent_cut_ratio = 32;
  int64_t norm_groups = 8;
  double voxel_size = 0.2;  // metres, level 0
  // Features between the first and the last layers are bfloat16; parameters, latents and logits stay as they are.
  bool bfloat16_features = false;
  // Candidate voxels that the decoder may have on a level of a sample. As it subdivides what it predicts itself, an
  // untrained one may ask for every cell of the crop.
  int64_t max_candidates = 4194304;

  int64_t ChannelsAt(int level) const { return base_channels << level; }
  int64_t LatentChannels() const { return ChannelsAt(num_levels - 1) / latent_cut_ratio; }
  // Cells of level l - 1 in a cell of level l, 1 <= l < num_levels.
  std::array<int, 3> PoolingFactor(int level) const;
  // Size and origin of the cells of a level, in metres; a voxel of level 0 covers [i, i+1) * voxel_size.
  GridTransform TransformAt(int level) const;
};

// A grid on all levels of the network.
struct VoxelPyramid {
  std::vector<VoxelGrid> grids;     // level 0 first
  std::vector<at::Tensor> parents;  // [l]: int64, for each voxel of grids[l] the row in grids[l + 1] that it lies in

  // As VoxelGrid::To and Pinned.
  VoxelPyramid To(at::Device device) const;
  VoxelPyramid Pinned() const;
};

//   grid  level 0, transform as TransformAt(0)
// Errors: those of Coarsen().
absl::StatusOr<VoxelPyramid> MakeVoxelPyramid(const VoxelVaeOptions& options, VoxelGrid grid);

// The latent, one row a neck cell.
struct Latent {
  at::Tensor mean;          // [B * cells, latent channels]
  at::Tensor log_variance;  // as mean; not clamped
  at::Tensor sample;        // as mean: mean + exp(log_variance / 2) * noise
  at::Tensor divergence;    // [B * cells], from the standard normal distribution
};

// What the decoder says about one level.
struct StructureLevel {
  int level;
  VoxelDomain candidates;  // the cells that were asked about; the whole box at the neck
  at::Tensor ijk;          // int32 [C, 3], level coordinates of the candidates
  at::Tensor logits;       // [C, 2]; class 0 = occupied
  at::Tensor occupied;     // bool [C]: logit 0 > logit 1, or what was forced
};

struct Reconstruction {
  std::vector<StructureLevel> structure;  // the neck first, level 0 last
  VoxelGrid grid;                         // level 0, what was predicted occupied
  at::Tensor semantic_logits;             // [voxels of grid, num_semantic]; undefined when grid is empty
};

class VoxelVaeNetwork : public Module {
 public:
  explicit VoxelVaeNetwork(const VoxelVaeOptions& options);

  const VoxelVaeOptions& options() const { return options_; }

  // Tensors lie on the parameters' device and have their dtype, where they are floating. Errors: statuses of
  // the grid operations (a coordinate or extent beyond what a grid holds); wrong shapes and labels out of
  // range throw c10::Error, as LibTorch does.
  //   voxels  those outside the neck's box are dropped there
  //   labels  int64 [N] of level 0, in [0, num_semantic)
  //   noise   [B * cells, latent channels], standard normal; none: the sample is the mean
  absl::StatusOr<Latent> Encode(const VoxelPyramid& voxels, const at::Tensor& labels,
                                const std::optional<at::Tensor>& noise = std::nullopt) const;

  // ConfigError where a sample has more candidates than options allow.
  //   z                [B * cells, latent channels]
  //   forced_occupied  empty, or one mask a level in the order of Reconstruction::structure, bool [C]: what is
  //                    kept in place of what the logits say (tests and benchmarks). InternalError when not one a level
  absl::StatusOr<Reconstruction> Decode(const at::Tensor& z, int64_t batch_size,
                                        const std::vector<at::Tensor>& forced_occupied = {}) const;

  // The neck's box: its first cell, and its cells along x, y, z.
  std::array<int, 3> NeckFirst() const;
  std::array<int, 3> NeckDims() const;
  int64_t NeckCells() const;

 private:
  absl::StatusOr<at::Tensor> FillNeck(const VoxelGrid& grid, const at::Tensor& x) const;
  // In the dtype of features.
  at::Tensor Features(const at::Tensor& x) const;
  // ConfigError if a sample of the grid has more voxels than options allow.
  absl::Status CheckCandidates(int level, const VoxelGrid& grid) const;

  VoxelVaeOptions options_;
  std::unique_ptr<Embedding> semantic_embedding_;
  std::unique_ptr<Linear> mix_;
  std::vector<std::unique_ptr<ResidualBlock>> encoders_;  // one a level, finest first
  std::vector<std::unique_ptr<ResidualBlock>> pre_latent_;
  std::unique_ptr<GroupNormalization> pre_latent_norm_;
  std::unique_ptr<Convolution> pre_latent_convolution_;
  std::vector<std::unique_ptr<ResidualBlock>> post_latent_;
  std::vector<std::array<std::unique_ptr<ResidualBlock>, 2>> decoders_;  // below the neck, coarse to fine
  std::vector<std::unique_ptr<Head>> structure_heads_;                   // the neck's first
  std::unique_ptr<Linear> pre_convolution_;
  std::unique_ptr<Head> semantic_head_;
};

// Positions to [p, sin(f p), cos(f p) for f in 1, 2, 4, 8, 16], each three wide; no pi, no scaling.
//   position  float [N, 3], metres.   Returns [N, 33] of the same dtype.
at::Tensor PositionalEncoding(const at::Tensor& position);

}  // namespace cubist

#endif  // CUBIST_MODELS_VAE_VOXEL_VAE_H_
