// The nearest voxel on a GPU on street-like grids in the VAE's crop: queries near the street, as of a trained decoder,
// and anywhere, as of one at its start. All rows are compared with the host's before anything is timed.
#include <ATen/ops/empty.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"
#include "kernels/voxel_grid/street_points.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

VoxelGrid Street() {
  const std::vector<float> street = StreetPoints();
  const int64_t count = static_cast<int64_t>(street.size() / 3);
  at::Tensor points = at::empty({count, 3}, at::TensorOptions().dtype(at::kFloat));
  std::memcpy(points.mutable_data_ptr(), street.data(), points.nbytes());
  return *GridFromPoints(points, {0, count}, kFifth);
}

// `count` voxels, each a voxel of the street moved by up to `reach` along each axis; reach 0: anywhere in the crop.
VoxelGrid Queries(const VoxelGrid& street, int64_t count, int32_t reach) {
  std::mt19937_64 random(2);
  const auto between = [&random](int32_t low, int32_t high) {
    return std::uniform_int_distribution<int32_t>(low, high)(random);
  };
  at::Tensor ijk = at::empty({count, 3}, at::TensorOptions().dtype(at::kInt));
  int32_t* out = ijk.mutable_data_ptr<int32_t>();
  for (int64_t n = 0; n < count; ++n, out += 3) {
    const std::array<int32_t, 3> anywhere = {between(-128, 127), between(-128, 127), between(-64, 63)};
    const int32_t* at = street.ijk.const_data_ptr<int32_t>() + 3 * (random() % street.num_voxels());
    for (int axis = 0; axis < 3; ++axis) out[axis] = reach == 0 ? anywhere[axis] : at[axis] + between(-reach, reach);
  }
  return *GridFromIjk(ijk, {0, count}, kFifth);
}

void Run(Benchmark& bench, const std::string& name, const VoxelGrid& street, const VoxelGrid& query) {
  const VoxelGrid device_street = street.To(at::kCUDA), device_query = query.To(at::kCUDA);
  if (!SameBits(*NearestVoxel(device_street, device_query), *NearestVoxel(street, query))) {
    std::fprintf(stderr, "nearest_voxel_cuda_bench: %s differs from the host's; nothing was timed\n", name.c_str());
    std::exit(1);
  }
  const double bytes = 8.0 * query.num_voxels() + 92.0 * (street.leaf_base.numel() + query.leaf_base.numel());
  bench.Time(name, std::to_string(query.num_voxels()) + " -> " + std::to_string(street.num_voxels()), {0, bytes, 0},
             [&] { NearestVoxel(device_street, device_query).value(); });
}

}  // namespace
}  // namespace cubist

int main() {
  using namespace cubist;  // NOLINT
  Benchmark bench("nearest_voxel_cuda_bench");
  const VoxelGrid street = Street();
  for (const int32_t reach : {1, 2, 4, 20, 0}) {
    const std::string how = reach == 0 ? "anywhere" : "within " + std::to_string(reach);
    // Several queries fall on one voxel; these numbers leave about 196,000.
    const int64_t drawn = reach == 1 ? 330000 : reach == 2 ? 240000 : 200000;
    Run(bench, "NearestVoxel, " + how, street, Queries(street, drawn, reach));
  }
  Run(bench, "NearestVoxel, itself", street, street);
  Run(bench, "NearestVoxel, many anywhere", street, Queries(street, 2000000, 0));
  // What a decoder predicts when it keeps all children of the coarse truth.
  const Coarsened coarse = *Coarsen(street, {2, 2, 1});
  at::Tensor all = at::empty({coarse.grid.num_voxels()}, at::TensorOptions().dtype(at::kBool)).fill_(true);
  Run(bench, "NearestVoxel, children", street, Subdivide(coarse.grid, {2, 2, 1}, all)->grid);
  Run(bench, "NearestVoxel, other lattice", street, coarse.grid);
  return 0;
}
