// Grid operations on a GPU on street-like scenes: first the whole operation, with the host's wait where it makes a
// grid, then what the GPU does of it, replayed as a graph. Each result is compared with the host's in full before it is
// timed.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cuda/benchmark.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/build_grid_cuda.h"
#include "kernels/voxel_grid/lookup_cuda.h"
#include "kernels/voxel_grid/neighbor_map_cuda.h"
#include "kernels/voxel_grid/street_points.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "voxel_grid_cuda_bench: %s differs from the host's; nothing more is timed\n", what);
  std::exit(1);
}

void RequireSame(const VoxelGrid& got, const VoxelGrid& wanted, const char* what) {
  Require(SameBits(got.ijk, wanted.ijk) && SameBits(got.offsets, wanted.offsets) &&
              SameBits(got.leaf_mask, wanted.leaf_mask) && SameBits(got.leaf_base, wanted.leaf_base),
          what);
}

// Times `launch` (work for the given stream, no waits) as a graph.
void TimeGraph(Benchmark& bench, const std::string& name, const std::string& shape, double bytes,
               const std::function<void(cudaStream_t)>& launch) {
  const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
  CheckCuda(cudaDeviceSynchronize(), "capture");
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  CheckCuda(cudaStreamBeginCapture(stream.stream(), cudaStreamCaptureModeThreadLocal), "capture");
  launch(stream.stream());
  CheckCuda(cudaStreamEndCapture(stream.stream(), &graph), "capture");
  CheckCuda(cudaGraphInstantiate(&executable, graph, 0), "capture");
  const cudaStream_t current = c10::cuda::getCurrentCUDAStream().stream();
  bench.Time(name, shape, {0, bytes, 0}, [&] { CheckCuda(cudaGraphLaunch(executable, current), "replay"); });
  CheckCuda(cudaGraphExecDestroy(executable), "replay");
  CheckCuda(cudaGraphDestroy(graph), "replay");
}

// Everything that making `made` does on the GPU, without the wait between its two halves.
using LaunchBuild = std::function<cudaError_t(const BuildArea&, bool find_boxes, cudaStream_t)>;
void TimeBuild(Benchmark& bench, const std::string& name, const std::string& shape, double bytes, const VoxelGrid& made,
               bool find_boxes, int64_t leaf_capacity, const VoxelGrid* parents, const std::array<int, 3>& factor,
               const LaunchBuild& launch) {
  const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA);
  const int64_t batch_size = made.batch_size();
  const at::Tensor pinned =
      at::zeros({GridSummary::Words(batch_size)}, at::TensorOptions().dtype(at::kLong)).pin_memory();
  const GridSummary host{pinned.mutable_data_ptr<int64_t>(), batch_size};
  host.first_bad_row() = kNoBadRow;
  host.cells() = made.directory.numel();
  std::copy(made.host_directory_box.begin(), made.host_directory_box.end(), host.boxes());
  for (int64_t b = 0; find_boxes && b < batch_size; ++b) {
    std::fill_n(host.boxes() + 8 * b, 3, std::numeric_limits<int32_t>::max());
    std::fill_n(host.boxes() + 8 * b + 3, 3, std::numeric_limits<int32_t>::min());
  }
  const at::Tensor summary = at::empty_like(pinned, on_gpu);
  BuildArea area;
  area.summary = {summary.mutable_data_ptr<int64_t>(), batch_size};
  area.cell_capacity = find_boxes ? int64_t{1} << 20 : made.directory.numel();
  area.leaf_capacity = leaf_capacity;
  const at::Tensor memory = at::empty({BuildAreaBytes(area)}, on_gpu.dtype(at::kByte));
  LayOutBuildArea(memory.mutable_data_ptr(), &area);
  const VoxelGrid copy = made.To(at::kCPU).To(at::kCUDA);
  const at::Tensor parent = at::empty({made.num_voxels()}, on_gpu.dtype(at::kLong));
  GridArrays arrays;
  arrays.mask = reinterpret_cast<uint64_t*>(copy.leaf_mask.mutable_data_ptr<int64_t>());
  arrays.prefix = reinterpret_cast<uint64_t*>(copy.leaf_prefix.mutable_data_ptr<int64_t>());
  arrays.base = copy.leaf_base.mutable_data_ptr<int32_t>();
  arrays.origin = copy.leaf_origin.mutable_data_ptr<int32_t>();
  arrays.directory = copy.directory.mutable_data_ptr<int32_t>();
  arrays.ijk = copy.ijk.mutable_data_ptr<int32_t>();
  copy.ijk.fill_(-7);
  const auto first_half = [&](cudaStream_t stream) {
    CheckCuda(cudaMemcpyAsync(summary.mutable_data_ptr(), pinned.const_data_ptr(), pinned.nbytes(),
                              cudaMemcpyHostToDevice, stream),
              "summary");
    CheckCuda(launch(area, find_boxes, stream), "launch");
  };
  const auto second_half = [&](cudaStream_t stream) {
    CheckCuda(EmitGrid(area, made.leaf_base.size(0), made.directory.numel(), arrays,
                       parents == nullptr ? LeafTableView() : parents->View().leaves, factor.data(),
                       parents == nullptr ? nullptr : parent.mutable_data_ptr<int64_t>(), stream),
              "EmitGrid");
  };
  TimeGraph(bench, name + ", GPU", shape, bytes, [&](cudaStream_t stream) {
    first_half(stream);
    second_half(stream);
  });
  TimeGraph(bench, name + ", GPU before wait", shape, 0, first_half);
  TimeGraph(bench, name + ", GPU after wait", shape, 0, second_half);
  Require(SameBits(copy.ijk, made.ijk), name.c_str());
}

void Run(Benchmark& bench, float half_extent, int walls) {
  const std::vector<float> street = StreetPoints(half_extent, walls);
  const int64_t count = static_cast<int64_t>(street.size() / 3);
  at::Tensor host_points = at::empty({count, 3}, at::TensorOptions().dtype(at::kFloat));
  std::memcpy(host_points.mutable_data_ptr(), street.data(), host_points.nbytes());
  const at::Tensor points = host_points.to(at::kCUDA);
  const VoxelGrid host = *GridFromPoints(host_points, {0, count}, kFifth);
  const VoxelGrid grid = *GridFromPoints(points, {0, count}, kFifth);
  RequireSame(grid, host, "GridFromPoints");
  const int64_t voxels = grid.num_voxels();
  const std::string shape = std::to_string(voxels) + " voxels, " + std::to_string(grid.leaf_base.size(0)) + " leaves";
  const std::string of_points = std::to_string(count) + " points, " + shape;
  const double n = static_cast<double>(voxels);
  const double table_bytes = 92.0 * static_cast<double>(grid.leaf_base.size(0)) + 4.0 * grid.directory.numel();

  bench.Time("GridFromPoints", of_points, {0, 12.0 * count + 12 * n + table_bytes, 0}, [&] {
    GridFromPoints(points, {0, count}, kFifth).value();
  });
  TimeBuild(bench, "GridFromPoints", of_points, 12.0 * count + 12 * n + table_bytes, grid, true, int64_t{1} << 17,
            nullptr, {1, 1, 1}, [&](const BuildArea& area, bool find_boxes, cudaStream_t stream) {
              return LaunchFromPoints(ViewOf<const float, 2>(points), {}, FloatTransform(kFifth), find_boxes, area,
                                      stream);
            });

  RequireSame(*GridFromIjk(grid.ijk, {0, voxels}, kFifth), host, "GridFromIjk");
  bench.Time("GridFromIjk", shape, {0, 24 * n + table_bytes, 0}, [&] {
    GridFromIjk(grid.ijk, {0, voxels}, kFifth).value();
  });
  TimeBuild(bench, "GridFromIjk", shape, 24 * n + table_bytes, grid, true, int64_t{1} << 17, nullptr, {1, 1, 1},
            [&](const BuildArea& area, bool find_boxes, cudaStream_t stream) {
              return LaunchFromIjk(ViewOf<const int32_t, 2>(grid.ijk), {}, find_boxes, area, stream);
            });

  // The dense mask of the crop.
  const int side = static_cast<int>(10 * half_extent);
  const std::array<int, 3> ijk_min = {-side / 2, -side / 2, -64}, dims = {side, side, 128};
  const at::Tensor index = *DenseIndex(grid, ijk_min, dims);
  at::Tensor mask = at::zeros({1, dims[0], dims[1], dims[2]}, points.options().dtype(at::kBool));
  const at::Tensor inside = index.index_select(0, index.ge(0).nonzero().view({-1}));
  mask.view({-1}).index_fill_(0, inside, true);
  const DenseGrid dense = *GridFromDenseMask(mask, ijk_min, kFifth),
                  host_dense = *GridFromDenseMask(mask.cpu(), ijk_min, kFifth);
  RequireSame(dense.grid, host_dense.grid, "GridFromDenseMask");
  Require(SameBits(dense.dense_index, host_dense.dense_index), "dense_index");
  const std::string of_mask = std::to_string(side) + "^2 x 128, " + std::to_string(dense.grid.num_voxels()) + " voxels";
  bench.Time("GridFromDenseMask", of_mask, {0, mask.numel() + 20 * n + table_bytes, 0},
             [&] { GridFromDenseMask(mask, ijk_min, kFifth).value(); });
  TimeBuild(bench, "GridFromDenseMask", of_mask, mask.numel() + 12 * n + table_bytes, dense.grid, false,
            dense.grid.directory.numel(), nullptr, {1, 1, 1},
            [&](const BuildArea& area, bool find_boxes, cudaStream_t stream) {
              return LaunchFromDenseMask(ViewOf<const bool, 4>(mask), ijk_min.data(), find_boxes, area, stream);
            });

  // Coarser by the VAE's two pools, and back down to what was there.
  const std::array<int, 3> first_pool = {2, 2, 1}, second_pool = {2, 2, 2};
  const Coarsened middle = *Coarsen(grid, first_pool), host_middle = *Coarsen(host, first_pool);
  RequireSame(middle.grid, host_middle.grid, "Coarsen");
  Require(SameBits(middle.parent, host_middle.parent), "Coarsen's parent");
  bench.Time("Coarsen {2,2,1}", shape, {0, 20 * n + table_bytes, 0}, [&] { Coarsen(grid, first_pool).value(); });
  const at::Tensor coarse_parent = at::empty_like(middle.parent);
  TimeBuild(bench, "Coarsen {2,2,1}", shape, 20 * n + table_bytes, middle.grid, false,
            std::min(middle.grid.directory.numel(), grid.leaf_base.numel()), nullptr, {1, 1, 1},
            [&](const BuildArea& area, bool find_boxes, cudaStream_t stream) {
              return LaunchCoarsen(ViewOf<const int32_t, 2>(grid.ijk), {}, first_pool.data(), find_boxes, area,
                                   coarse_parent.mutable_data_ptr<int64_t>(), stream);
            });
  const Coarsened top = *Coarsen(middle.grid, second_pool), host_top = *Coarsen(host_middle.grid, second_pool);
  RequireSame(top.grid, host_top.grid, "Coarsen");
  const auto subdivide = [&](const std::string& name, const VoxelGrid& from, const VoxelGrid& host_from,
                             const std::array<int, 3>& factor, const at::Tensor& keep) {
    const Subdivided fine = *Subdivide(from, factor, keep), host_fine = *Subdivide(host_from, factor, keep.cpu());
    RequireSame(fine.grid, host_fine.grid, "Subdivide");
    Require(SameBits(fine.parent, host_fine.parent), "Subdivide's parent");
    const std::string of_children =
        std::to_string(from.num_voxels()) + " -> " + std::to_string(fine.grid.num_voxels()) + " voxels";
    const double bytes = 13.0 * from.num_voxels() + 20.0 * fine.grid.num_voxels();
    bench.Time(name, of_children, {0, bytes, 0}, [&] { Subdivide(from, factor, keep).value(); });
    const int64_t leaves =
        std::min<int64_t>(fine.grid.directory.numel(), from.leaf_base.numel() * factor[0] * factor[1] * factor[2]);
    TimeBuild(bench, name, of_children, bytes, fine.grid, false, leaves, &from, factor,
              [&](const BuildArea& area, bool find_boxes, cudaStream_t stream) {
                return LaunchSubdivide(ViewOf<const int32_t, 2>(from.ijk), {}, ViewOf<const bool, 1>(keep),
                                       factor.data(), find_boxes, area, stream);
              });
  };
  const at::TensorOptions boolean = points.options().dtype(at::kBool);
  subdivide("Subdivide {2,2,2}", top.grid, host_top.grid, second_pool, at::ones({top.grid.num_voxels()}, boolean));
  subdivide("Subdivide {2,2,1}", middle.grid, host_middle.grid, first_pool,
            at::ones({middle.grid.num_voxels()}, boolean));
  at::Tensor two_thirds = at::ones({voxels}, boolean);
  two_thirds.slice(0, 0, voxels, 3).fill_(false);
  subdivide("prune", grid, host, {1, 1, 1}, two_thirds);

  // Questions.
  const at::Tensor shuffled = grid.ijk.add(1);
  Require(SameBits(*Lookup(grid, shuffled, {0, voxels}), *Lookup(host, shuffled.cpu(), {0, voxels})), "Lookup");
  const at::Tensor rows = at::empty({voxels}, points.options().dtype(at::kLong));
  TimeGraph(bench, "Lookup, GPU", shape, 20 * n + table_bytes, [&](cudaStream_t stream) {
    CheckCuda(LookupCuda(grid.View().leaves, ViewOf<const int32_t, 2>(shuffled), {}, rows.mutable_data_ptr<int64_t>(),
                         stream),
              "Lookup");
  });
  Require(SameBits(index, *DenseIndex(host, ijk_min, dims)), "DenseIndex");
  TimeGraph(bench, "DenseIndex, GPU", shape, 20 * n, [&](cudaStream_t stream) {
    CheckCuda(DenseIndexCuda(ViewOf<const int32_t, 2>(grid.ijk), {}, ijk_min.data(), dims.data(),
                             rows.mutable_data_ptr<int64_t>(), stream),
              "DenseIndex");
  });
  at::Tensor taps, host_taps;
  const at::Tensor map = *NeighborMap(grid, &taps);
  Require(SameBits(map, *NeighborMap(host, &host_taps)), "NeighborMap");
  Require(SameBits(taps, host_taps), "the tap mask");
  std::printf("%s: %.1f of 27 neighbours\n", shape.c_str(), map.ge(0).sum().item<int64_t>() / n);
  bench.Time("NeighborMap", shape, {0, 120 * n + table_bytes, 0}, [&] { NeighborMap(grid).value(); });
  TimeGraph(bench, "NeighborMap, GPU", shape, 120 * n + table_bytes, [&](cudaStream_t stream) {
    CheckCuda(NeighborMapCuda(grid.View().leaves, ViewOf<const int32_t, 2>(grid.ijk), {},
                              map.mutable_data_ptr<int32_t>(), nullptr, stream),
              "NeighborMap");
  });
  TimeGraph(bench, "NeighborMap and tap mask, GPU", shape, 124 * n + table_bytes, [&](cudaStream_t stream) {
    CheckCuda(
        NeighborMapCuda(grid.View().leaves, ViewOf<const int32_t, 2>(grid.ijk), {}, map.mutable_data_ptr<int32_t>(),
                        reinterpret_cast<uint32_t*>(taps.mutable_data_ptr<int32_t>()), stream),
        "NeighborMap");
  });
}

}  // namespace
}  // namespace cubist

int main() {
  cubist::Benchmark bench("voxel_grid_cuda_bench");
  cubist::Run(bench, 25.6f, 6);  // the VAE's crop
  cubist::Run(bench, 51.2f, 6);
  return 0;
}
