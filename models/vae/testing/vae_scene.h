// Scenes and networks for tests and benchmarks of the voxel VAE at the recipe's width.
#ifndef CUBIST_MODELS_VAE_TESTING_VAE_SCENE_H_
#define CUBIST_MODELS_VAE_TESTING_VAE_SCENE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/nn/module.h"
#include "models/vae/voxel_vae.h"

namespace cubist {

// A street in one sample: ground with kerbs, walls and blocks in the whole crop of the options; int32 [N, 3], on the
// CPU. The recipe's crop has about 140 thousand voxels.
at::Tensor StreetVoxels(const VoxelVaeOptions& options);

struct VaeScene {
  VoxelPyramid voxels;
  at::Tensor labels;  // int64 [N] of level 0, by place and seed
  at::Tensor noise;   // [cells, latent channels], standard normal of the seed
  // What the decoder keeps when it predicts the scene itself (VoxelVaeNetwork::Decode).
  std::vector<at::Tensor> occupied;
};

// One sample with voxels `ijk` int32 [N, 3] in a scene on `device`, with noise of `dtype`. Aborts when the grid
// operations refuse it.
VaeScene MakeVaeScene(const VoxelVaeOptions& options, const at::Tensor& ijk, uint32_t seed, at::ScalarType dtype,
                      at::Device device);

// Initialises the module's parameters from the seed, moves the gains of its normalisations off one, and all of it to
// `dtype` and `device`.
void PlaceParameters(const Module& module, uint32_t seed, at::ScalarType dtype, at::Device device);

}  // namespace cubist

#endif  // CUBIST_MODELS_VAE_TESTING_VAE_SCENE_H_
