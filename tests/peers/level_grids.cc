// The voxel grids that the VAE of a recipe works on, from samples of a data set, as files that a peer's benchmark
// reads:
//   level_grids CONFIG FOLDER [FIRST [COUNT]] [path.to.field=value]...
// Prints the levels of COUNT training samples from draw FIRST on, and writes those of the first of them.
//   E<l>.i32  the encoder's level l: the sample's voxels, and their coarsenings
//   D<l>.i32  the decoder's candidates of level l when it predicts the truth: the children of the voxels of level l + 1
// Rows are (sample, i, j, k) as little-endian int32 [N, 4], in the grid's canonical order.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/tasks/task.h"
#include "tools/tasks/voxel_batch.h"
#include "tools/tasks/voxel_vae_task.h"
#include "tools/training/loop/batch_source.h"

namespace cubist {
namespace {

using Levels = std::map<std::string, VoxelGrid>;

// Which voxels of a level lie in the neck's box: the others have no candidates below them.
absl::StatusOr<at::Tensor> InBox(const VoxelGrid& grid, const VoxelVaeOptions& options, int level) {
  std::array<int, 3> first, dims;
  for (int d = 0; d < 3; ++d) {
    int half = options.neck_half_extent[d];
    for (int l = options.num_levels - 1; l > level; --l) half *= options.PoolingFactor(l)[d];
    first[d] = -half;
    dims[d] = 2 * half;
  }
  ASSIGN_OR_RETURN(const at::Tensor cell, DenseIndex(grid, first, dims));
  return cell.ge(0);
}

absl::StatusOr<Levels> LevelsOf(const VoxelGrid& voxels, const VoxelVaeOptions& options) {
  Levels levels = {{"E0", voxels}};
  for (int level = 1; level < options.num_levels; ++level) {
    const VoxelGrid& finer = levels.at(absl::StrCat("E", level - 1));
    ASSIGN_OR_RETURN(Coarsened coarse, Coarsen(finer, options.PoolingFactor(level)));
    ASSIGN_OR_RETURN(const at::Tensor in_box, InBox(coarse.grid, options, level));
    ASSIGN_OR_RETURN(Subdivided children, Subdivide(coarse.grid, options.PoolingFactor(level), in_box));
    levels.emplace(absl::StrCat("E", level), std::move(coarse.grid));
    levels.emplace(absl::StrCat("D", level - 1), std::move(children.grid));
  }
  return levels;
}

absl::Status Print(const Levels& levels) {
  for (const auto& [name, grid] : levels) {
    ASSIGN_OR_RETURN(const at::Tensor neighbors, NeighborMap(grid));
    const double taps = static_cast<double>(neighbors.ge(0).sum().item<int64_t>());
    std::printf("  %s %8lld voxels, %5.2f of 27 neighbours\n", name.c_str(), static_cast<long long>(grid.num_voxels()),
                taps / static_cast<double>(grid.num_voxels()));
  }
  return absl::OkStatus();
}

absl::Status Write(const Levels& levels, const std::string& folder) {
  RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), folder));
  for (const auto& [name, grid] : levels) {
    std::vector<at::Tensor> samples;
    for (int64_t b = 0; b < grid.batch_size(); ++b) {
      const int64_t rows = grid.host_offsets[b + 1] - grid.host_offsets[b];
      samples.push_back(at::full({rows, 1}, b, grid.ijk.options()));
    }
    const at::Tensor rows = at::cat({at::cat(samples), grid.ijk}, 1).contiguous();
    const std::string_view bytes(static_cast<const char*>(rows.data_ptr()), rows.nbytes());
    RETURN_IF_ERROR(WriteFileAtomically(SystemFileOps(), absl::StrCat(folder, "/", name, ".i32"), bytes));
  }
  return absl::OkStatus();
}

absl::Status Run(const std::string& config, const std::string& folder, uint64_t first, int count,
                 const std::vector<std::string>& fields) {
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperiment(config, fields));
  const VoxelVaeOptions options = VoxelVaeOptionsOf(experiment.proto());
  ASSIGN_OR_RETURN(const std::unique_ptr<BatchMaker> batch_maker, MakeBatchMaker(experiment, at::kFloat, at::kCPU));
  ASSIGN_OR_RETURN(const BatchShape shape, MakeBatchShape(experiment.proto().batch(), 0, 1));
  ASSIGN_OR_RETURN(const std::unique_ptr<RunData> data, RunData::Open(experiment.proto(), *batch_maker, shape));
  const std::unique_ptr<BatchSource> source = data->Training(first);
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const std::optional<MicroBatch> next, source->Next([] { return false; }));
    const auto* batch = next.has_value() ? dynamic_cast<const VoxelBatch*>(next->batch.get()) : nullptr;
    if (batch == nullptr) return InternalError("no batch of voxels");
    ASSIGN_OR_RETURN(const Levels levels, LevelsOf(batch->grid, options));
    std::printf("draw %llu: clip %s, frame %lld\n", static_cast<unsigned long long>(next->draws[0].draw),
                batch->clip.c_str(), static_cast<long long>(batch->start_frame));
    RETURN_IF_ERROR(Print(levels));
    if (i == 0) RETURN_IF_ERROR(Write(levels, folder));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "level_grids CONFIG FOLDER [FIRST [COUNT]] [path.to.field=value]...\n");
    return 2;
  }
  at::set_num_threads(1);
  const auto is_number = [&](int i) { return argc > i && std::string_view(argv[i]).find('=') == std::string::npos; };
  const uint64_t first = is_number(3) ? std::strtoull(argv[3], nullptr, 10) : 0;
  const int count = is_number(3) && is_number(4) ? std::atoi(argv[4]) : 1;
  const int numbers = is_number(3) ? (is_number(4) ? 2 : 1) : 0;
  return cubist::FinishProgram("level_grids",
                               cubist::Run(cubist::ResolvePath(argv[1]), cubist::ResolvePath(argv[2]), first, count,
                                           std::vector<std::string>(argv + 3 + numbers, argv + argc)));
}
