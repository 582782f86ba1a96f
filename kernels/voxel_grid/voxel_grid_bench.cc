// Times of the grid operations on a street-like scene: ground, walls and cars' worth of scattered surfaces in the VAE's
// crop of 256 x 256 x 128 voxels. Each result is verified against a plain lookup before it is timed. One thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "base/parallel_for.h"
#include "kernels/nearest_voxel/nearest_voxel.h"
#include "kernels/voxel_grid/build_grid.h"
#include "kernels/voxel_grid/change_grid.h"
#include "kernels/voxel_grid/neighbor_map.h"
#include "kernels/voxel_grid/street_points.h"

namespace cubist {
namespace {

const GridTransform kFifth = {{0.2, 0.2, 0.2}, {0.1, 0.1, 0.1}};

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "voxel_grid_bench: %s is wrong; nothing was timed\n", what);
  std::exit(1);
}

HostVoxelGrid Street() {
  static const std::vector<float> points = StreetPoints();
  const int64_t count = static_cast<int64_t>(points.size() / 3);
  return *GridFromPointsCpu(View<const float, 2>(points.data(), {count, 3}), {0, count}, kFifth);
}

int64_t Key(const int32_t* ijk) { return ((ijk[0] + 4096) * 8192LL + ijk[1] + 4096) * 8192LL + ijk[2] + 4096; }

void BuildFromPoints(benchmark::State& state) {
  const std::vector<float> points = StreetPoints();
  const int64_t count = static_cast<int64_t>(points.size() / 3);
  const View<const float, 2> view(points.data(), {count, 3});
  const HostVoxelGrid grid = Street();
  std::unordered_map<int64_t, int> seen;
  std::vector<int32_t> ijk(points.size());
  Require(VoxelsOfPoints(view, kFifth, TieRounding::kHalfUp, View<int32_t, 2>(ijk.data(), {count, 3})).ok(), "points");
  for (int64_t n = 0; n < count; ++n) seen[Key(&ijk[3 * n])] = 1;
  Require(static_cast<int64_t>(seen.size()) == grid.num_voxels(), "the number of voxels");
  for (auto _ : state) benchmark::DoNotOptimize(GridFromPointsCpu(view, {0, count}, kFifth));
  state.counters["points"] = static_cast<double>(count);
  state.counters["voxels"] = static_cast<double>(grid.num_voxels());
}
BENCHMARK(BuildFromPoints)->Unit(benchmark::kMillisecond);

void MapNeighbors(benchmark::State& state) {
  const HostVoxelGrid grid = Street();
  const int64_t count = grid.num_voxels();
  std::vector<int32_t> map(27 * count);
  const View<int32_t, 2> view(map.data(), {27, count});
  NeighborMapCpu(grid.View(), view);
  std::unordered_map<int64_t, int32_t> rows;
  const int32_t* ijk = grid.ijk.data<int32_t>();
  for (int64_t n = 0; n < count; ++n) rows[Key(ijk + 3 * n)] = static_cast<int32_t>(n);
  int64_t active = 0;
  for (int tap = 0; tap < 27; ++tap) {
    for (int64_t n = 0; n < count; ++n) {
      const int32_t at[3] = {ijk[3 * n] + tap / 9 - 1, ijk[3 * n + 1] + tap / 3 % 3 - 1, ijk[3 * n + 2] + tap % 3 - 1};
      const auto found = rows.find(Key(at));
      Require(view(tap, n) == (found == rows.end() ? -1 : found->second), "the neighbour map");
      active += found != rows.end();
    }
  }
  for (auto _ : state) NeighborMapCpu(grid.View(), view);
  state.counters["voxels"] = static_cast<double>(count);
  state.counters["taps"] = static_cast<double>(active) / static_cast<double>(count);
}
BENCHMARK(MapNeighbors)->Unit(benchmark::kMillisecond);

// Coarsens twice and subdivides back, as the decoder does.
void SubdivideTwice(benchmark::State& state) {
  const HostVoxelGrid street = Street();
  const HostVoxelGrid coarse = CoarsenCpu(street.View(), {4, 4, 2})->grid;
  const std::unique_ptr<bool[]> keep(new bool[8 * coarse.num_voxels()]);
  std::fill_n(keep.get(), 8 * coarse.num_voxels(), true);
  const auto once = [&keep](const HostVoxelGrid& grid, const std::array<int, 3>& factor) {
    return *SubdivideCpu(grid.View(), factor, View<const bool, 1>(keep.get(), {grid.num_voxels()}));
  };
  const HostVoxelGrid fine = once(once(coarse, {2, 2, 2}).grid, {2, 2, 1}).grid;
  Require(fine.num_voxels() == 32 * coarse.num_voxels(), "the number of children");
  for (auto _ : state) benchmark::DoNotOptimize(once(once(coarse, {2, 2, 2}).grid, {2, 2, 1}));
  state.counters["voxels"] = static_cast<double>(fine.num_voxels());
}
BENCHMARK(SubdivideTwice)->Unit(benchmark::kMillisecond);

// Queries near the street (the argument says how far, in voxels) or anywhere in the crop (0).
void FindNearest(benchmark::State& state) {
  const HostVoxelGrid street = Street();
  std::mt19937_64 random(2);
  const int32_t reach = static_cast<int32_t>(state.range(0));
  std::vector<int32_t> queries;
  const auto between = [&random](int32_t low, int32_t high) {
    return std::uniform_int_distribution<int32_t>(low, high)(random);
  };
  while (queries.size() < 3 * 100000) {
    if (reach == 0) {
      queries.insert(queries.end(), {between(-128, 127), between(-128, 127), between(-64, 63)});
    } else {
      const int32_t* at = street.ijk.data<int32_t>() + 3 * (random() % street.num_voxels());
      for (int axis = 0; axis < 3; ++axis) queries.push_back(at[axis] + between(-reach, reach));
    }
  }
  const HostVoxelGrid query = *GridFromIjkCpu(View<const int32_t, 2>(queries.data(), {100000, 3}), {0, 100000}, kFifth);
  std::vector<int64_t> nearest(query.num_voxels());
  const View<int64_t, 1> view(nearest.data(), {query.num_voxels()});
  Require(NearestVoxelCpu(street.View(), query.View(), view).ok(), "a status");
  const int32_t* voxels = street.ijk.data<int32_t>();
  for (int64_t n = 0; n < query.num_voxels(); n += 997) {
    int64_t best = -1, best_distance = 0;
    for (int64_t m = 0; m < street.num_voxels(); ++m) {
      int64_t distance = 0;
      for (int axis = 0; axis < 3; ++axis) {
        const int64_t difference = query.ijk.data<int32_t>()[3 * n + axis] - voxels[3 * m + axis];
        distance += difference * difference;
      }
      if (best < 0 || distance < best_distance) {
        best = m;
        best_distance = distance;
      }
    }
    Require(nearest[n] == best, "a nearest voxel");
  }
  for (auto _ : state) {
    const absl::Status status = NearestVoxelCpu(street.View(), query.View(), view);
    benchmark::DoNotOptimize(status.ok());
  }
  state.counters["queries"] = static_cast<double>(query.num_voxels());
}
BENCHMARK(FindNearest)->Arg(1)->Arg(4)->Arg(20)->Arg(0)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  cubist::SetParallelThreads(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
