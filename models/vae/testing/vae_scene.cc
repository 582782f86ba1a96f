#include "models/vae/testing/vae_scene.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/philox.h"
#include "base/status.h"

namespace cubist {
namespace {

template <typename T>
T OrAbort(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", std::string(result.status().message()).c_str());
    std::abort();
  }
  return *std::move(result);
}

// All cells of the neck's box, in its rows' order.
at::Tensor BoxCells(const VoxelVaeNetwork& network) {
  const auto first = network.NeckFirst(), dims = network.NeckDims();
  std::vector<at::Tensor> axes;
  for (int d = 0; d < 3; ++d) {
    std::vector<int64_t> shape(3, 1);
    shape[d] = dims[d];
    axes.push_back(at::arange(first[d], first[d] + dims[d], at::kInt)
                       .view(shape)
                       .expand({dims[0], dims[1], dims[2]})
                       .reshape({-1, 1}));
  }
  return at::cat(axes, 1);
}

}  // namespace

at::Tensor StreetVoxels(const VoxelVaeOptions& options) {
  std::array<int, 3> half = options.neck_half_extent;
  for (int level = 1; level < options.num_levels; ++level) {
    for (int d = 0; d < 3; ++d) half[d] *= options.PoolingFactor(level)[d];
  }
  std::vector<int32_t> ijk;
  for (int x = -half[0]; x < half[0]; ++x) {
    for (int y = -half[1]; y < half[1]; ++y) {
      const bool pavement = y > half[1] / 3 || y < -half[1] / 3;
      const int ground = -half[2] / 2 + (pavement ? 1 : 0);
      int top = ground;
      if (y == half[1] * 2 / 3 || y == -half[1] * 2 / 3) top = ground + half[2] / 2 + (x / 16 % 3) * 4;  // houses
      if (pavement && x % 24 == 0 && y % 20 == 0) top = ground + half[2] / 3;                            // poles
      if (!pavement && x % 40 < 18 && y % 24 > 15) top = ground + 7;                                     // cars
      for (int z = ground; z <= top; ++z) ijk.insert(ijk.end(), {x, y, z});
    }
  }
  const auto rows = static_cast<int64_t>(ijk.size() / 3);
  at::Tensor tensor = at::empty({rows, 3}, at::kInt);
  std::copy(ijk.begin(), ijk.end(), tensor.data_ptr<int32_t>());
  return tensor;
}

VaeScene MakeVaeScene(const VoxelVaeOptions& options, const at::Tensor& ijk, uint32_t seed, at::ScalarType dtype,
                      at::Device device) {
  const VoxelVaeNetwork network(options);
  VaeScene scene;
  scene.voxels = OrAbort(
      MakeVoxelPyramid(options, OrAbort(GridFromIjk(ijk.to(device), {0, ijk.size(0)}, options.TransformAt(0)))));
  const at::Tensor rows = scene.voxels.grids[0].ijk.to(at::kLong);
  scene.labels = (rows.select(1, 0) * 3 + rows.select(1, 1) * 7 + rows.select(1, 2) * 5 + seed)
                     .remainder(options.num_semantic)
                     .contiguous();
  const PhiloxKey key(seed, RandomPurpose::kLatentNoise);
  at::Tensor noise = at::empty({network.NeckCells(), options.LatentChannels()}, at::kDouble);
  for (int64_t i = 0; i < noise.numel(); ++i) noise.data_ptr<double>()[i] = PhiloxNormal(key, 0, i);
  scene.noise = noise.to(device, dtype);

  const auto dims = network.NeckDims();
  VoxelGrid candidates;
  for (int level = options.num_levels - 1; level >= 0; --level) {
    const bool neck = level == options.num_levels - 1;
    const at::Tensor cells = neck ? BoxCells(network).to(device) : candidates.ijk;
    scene.occupied.push_back(OrAbort(Lookup(scene.voxels.grids[level], cells, {0, cells.size(0)})).ge(0));
    if (level == 0) break;
    at::Tensor mask = scene.occupied.back();
    if (neck) {
      candidates = OrAbort(GridFromDenseMask(mask.view({1, dims[0], dims[1], dims[2]}), network.NeckFirst(),
                                             options.TransformAt(level)))
                       .grid;
      mask = at::full({candidates.num_voxels()}, true, mask.options());
    }
    candidates = OrAbort(Subdivide(candidates, options.PoolingFactor(level), mask)).grid;
  }
  return scene;
}

void PlaceParameters(const Module& module, uint32_t seed, at::ScalarType dtype, at::Device device) {
  InitializeParameters(module, seed);
  const PhiloxKey key(seed, RandomPurpose::kSynthesis);
  uint64_t n = 0;
  for (const Parameter& parameter : module.Parameters()) {
    at::Tensor value = parameter.value.detach().to(at::kDouble).contiguous();
    if (parameter.name.find("GroupNorm") != std::string::npos || parameter.name.find("_gn.") != std::string::npos) {
      for (int64_t i = 0; i < value.numel(); ++i) value.data_ptr<double>()[i] += 0.3 * PhiloxNormal(key, n, i);
    }
    ++n;
    at::Tensor handle = parameter.value;
    // Rounded to float first, so that parameters are the same in both precisions.
    handle.set_data(value.to(at::kFloat).to(device, dtype));
  }
}

}  // namespace cubist
