#include "kernels/voxel_grid/device_grid.h"

#include <ATen/ops/empty.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/tensor_view/tensor_view.h"
#include "kernels/voxel_grid/build_grid_cuda.h"
#include "kernels/voxel_grid/change_grid.h"
#include "kernels/voxel_grid/leaf_box.h"
#include "kernels/voxel_grid/lookup_cuda.h"
#include "kernels/voxel_grid/neighbor_map_cuda.h"
#include "kernels/voxel_grid/sample_blocks.h"

namespace cubist {
namespace {

at::Tensor New(at::IntArrayRef shape, at::ScalarType dtype, at::Device device) {
  return at::empty(shape, at::TensorOptions().dtype(dtype).device(device));
}

at::Tensor NewPinned(int64_t count) {
  return at::empty({count}, at::TensorOptions().dtype(at::kLong).pinned_memory(true));
}

// Holds the host until everything that is on the stream now is done.
void WaitFor(cudaStream_t stream, const char* what) {
  cudaEvent_t event;
  CheckCuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), what);
  cudaError_t status = cudaEventRecord(event, stream);
  if (status == cudaSuccess) status = cudaEventSynchronize(event);
  const cudaError_t destroyed = cudaEventDestroy(event);
  CheckCuda(status == cudaSuccess ? destroyed : status, what);
}

// The samples of rows with these offsets; `holder` keeps the device's copy.
RowSamples SamplesOf(const std::vector<int64_t>& host_offsets, at::Device device, at::Tensor* holder) {
  const int64_t batch_size = static_cast<int64_t>(host_offsets.size()) - 1;
  if (batch_size <= 1) return {};
  const at::Tensor pinned = NewPinned(batch_size + 1);
  std::copy(host_offsets.begin(), host_offsets.end(), pinned.mutable_data_ptr<int64_t>());
  *holder = pinned.to(at::TensorOptions().device(device), /*non_blocking=*/true);
  return {holder->const_data_ptr<int64_t>(), batch_size};
}

RowSamples SamplesOf(const VoxelGrid& grid) {
  if (grid.batch_size() <= 1) return {};
  return {grid.offsets.const_data_ptr<int64_t>(), grid.batch_size()};
}

// A finished build whose arrays are still in the area.
struct Built {
  at::Tensor summary, memory;
  BuildArea area;
  DirectoryLayout layout;
  int64_t leaves = 0;
  std::vector<int64_t> host_offsets;
};

struct BuildRequest {
  const char* what;
  std::string too_far;  // what a voxel beyond kMaxCoordinate means
  at::Device device;
  cudaStream_t stream;
  int64_t batch_size;
  std::optional<std::vector<LeafBox>> boxes;  // of all voxels, when they are known; they may be wider
  int64_t most_leaves;
};

std::vector<LeafBox> BoxesIn(const int32_t* rows, int64_t batch_size) {
  std::vector<LeafBox> boxes(batch_size);
  for (int64_t sample = 0; sample < batch_size; ++sample) {
    const int32_t* row = rows + 8 * sample;
    for (int axis = 0; axis < 3 && row[3] > 0; ++axis) {
      boxes[sample].first[axis] = row[axis];
      boxes[sample].last[axis] = row[axis] + row[3 + axis] - 1;
    }
  }
  return boxes;
}

// The summary before a build, in pinned memory.
void WriteSummary(const GridSummary& summary, const DirectoryLayout* layout) {
  std::fill_n(summary.data, GridSummary::Words(summary.batch_size), 0);
  summary.first_bad_row() = kNoBadRow;
  if (layout != nullptr) {
    summary.cells() = layout->cells;
    std::copy(layout->box.begin(), layout->box.end(), summary.boxes());
    return;
  }
  for (int64_t sample = 0; sample < summary.batch_size; ++sample) {
    std::fill_n(summary.boxes() + 8 * sample, 3, std::numeric_limits<int32_t>::max());
    std::fill_n(summary.boxes() + 8 * sample + 3, 3, std::numeric_limits<int32_t>::min());
  }
}

// Launch: cudaError_t(const BuildArea&, bool find_boxes).
template <typename Launch>
absl::StatusOr<Built> Build(const BuildRequest& request, const Launch& launch) {
  std::optional<DirectoryLayout> layout;
  if (request.boxes.has_value()) {
    absl::StatusOr<DirectoryLayout> known = LayOutDirectory(*request.boxes, request.what);
    // Boxes may be much wider than what is in them; large ones are found anew.
    if (known.ok() && known->cells <= kGuessedCells) layout = *std::move(known);
  }
  int64_t leaf_capacity = std::min(request.most_leaves, layout.has_value() ? layout->cells : kGuessedLeaves);
  const at::Tensor pinned = NewPinned(GridSummary::Words(request.batch_size));
  const GridSummary host{pinned.mutable_data_ptr<int64_t>(), request.batch_size};
  while (true) {
    WriteSummary(host, layout.has_value() ? &*layout : nullptr);
    Built built;
    built.summary = pinned.to(at::TensorOptions().device(request.device), /*non_blocking=*/true);
    built.area.summary = {built.summary.mutable_data_ptr<int64_t>(), request.batch_size};
    built.area.cell_capacity = layout.has_value() ? layout->cells : kGuessedCells;
    built.area.leaf_capacity = leaf_capacity;
    built.memory = New({BuildAreaBytes(built.area)}, at::kByte, request.device);
    LayOutBuildArea(built.memory.mutable_data_ptr(), &built.area);
    CheckCuda(launch(built.area, !layout.has_value()), request.what);
    pinned.copy_(built.summary, /*non_blocking=*/true);
    WaitFor(request.stream, request.what);

    if ((host.flags() & kVoxelTooFar) != 0) {
      return DataError(absl::StrCat(request.what, ": row ", host.first_bad_row(), ": ", request.too_far));
    }
    if (!layout.has_value()) {
      ASSIGN_OR_RETURN(layout, LayOutDirectory(BoxesIn(host.boxes(), request.batch_size), request.what));
    }
    if (host.flags() == 0) {
      built.layout = *std::move(layout);
      built.leaves = host.leaves();
      built.host_offsets.assign(host.offsets(), host.offsets() + request.batch_size + 1);
      if (built.host_offsets.back() > std::numeric_limits<int32_t>::max()) {
        return DataError(absl::StrCat(request.what, ": ", built.host_offsets.back(), " voxels in a batch; rows are ",
                                      "32-bit numbers. Put fewer samples into a batch or use larger voxels"));
      }
      return built;
    }
    leaf_capacity = (host.flags() & kTooSmallLeafArea) != 0
                        ? host.leaves()
                        : std::min({request.most_leaves, layout->cells, kGuessedLeaves});
  }
}

// The grid that was built. With a grid of parents, `parent` is made, int64 [N]: the rows of floor(ijk / factor) there.
VoxelGrid Finish(const BuildRequest& request, Built built, const GridTransform& transform,
                 const VoxelGrid* parents = nullptr, const std::array<int, 3>& factor = {1, 1, 1},
                 at::Tensor* parent = nullptr) {
  const int64_t batch_size = request.batch_size;
  VoxelGrid grid;
  grid.host_offsets = std::move(built.host_offsets);
  grid.transform = transform;
  grid.offsets = built.summary.narrow(0, GridSummary::kOffsets, batch_size + 1);
  grid.directory_box = built.summary.narrow(0, GridSummary::kOffsets + batch_size + 1, 4 * batch_size)
                           .view(at::kInt)
                           .view({batch_size, 8});
  grid.host_directory_box = std::move(built.layout.box);
  grid.ijk = New({grid.num_voxels(), 3}, at::kInt, request.device);
  grid.leaf_mask = New({built.leaves, 8}, at::kLong, request.device);
  grid.leaf_prefix = New({built.leaves}, at::kLong, request.device);
  grid.leaf_base = New({built.leaves}, at::kInt, request.device);
  grid.leaf_origin = New({built.leaves, 4}, at::kInt, request.device);
  grid.directory = New({built.layout.cells}, at::kInt, request.device);
  GridArrays arrays;
  arrays.mask = reinterpret_cast<uint64_t*>(grid.leaf_mask.mutable_data_ptr<int64_t>());
  arrays.prefix = reinterpret_cast<uint64_t*>(grid.leaf_prefix.mutable_data_ptr<int64_t>());
  arrays.base = grid.leaf_base.mutable_data_ptr<int32_t>();
  arrays.origin = grid.leaf_origin.mutable_data_ptr<int32_t>();
  arrays.directory = grid.directory.mutable_data_ptr<int32_t>();
  arrays.ijk = grid.ijk.mutable_data_ptr<int32_t>();
  if (parent != nullptr) *parent = New({grid.num_voxels()}, at::kLong, request.device);
  // Without rows there are no leaves, and the directory is not written: an empty input launched nothing.
  if (built.leaves == 0) grid.directory.fill_(-1);
  CheckCuda(EmitGrid(built.area, built.leaves, built.leaves == 0 ? 0 : built.layout.cells, arrays,
                     parents == nullptr ? LeafTableView() : parents->View().leaves, factor.data(),
                     parent == nullptr ? nullptr : parent->mutable_data_ptr<int64_t>(), request.stream),
            request.what);
  return grid;
}

// No boxes are to be found where there are no rows.
std::optional<std::vector<LeafBox>> BoxesOfRows(int64_t rows, int64_t batch_size) {
  if (rows > 0) return std::nullopt;
  return std::vector<LeafBox>(batch_size);
}

std::string BeyondLimit(const char* subject) {
  return absl::StrCat(subject, " coordinate is beyond +-", kMaxCoordinate);
}

// a * b, or kMaxDirectoryCells when that is less: there are never more leaves than cells.
int64_t LimitedProduct(int64_t a, int64_t b) { return std::min(a, kMaxDirectoryCells / b + 1) * b; }

}  // namespace

absl::StatusOr<VoxelGrid> DeviceGridFromIjk(const at::Tensor& ijk, const std::vector<int64_t>& host_offsets,
                                            const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTransform(transform));
  RETURN_IF_ERROR(CheckOffsets(host_offsets, ijk.size(0), "GridFromIjk"));
  const int64_t batch_size = static_cast<int64_t>(host_offsets.size()) - 1;
  at::Tensor holder;
  const RowSamples samples = SamplesOf(host_offsets, ijk.device(), &holder);
  const BuildRequest request = {"GridFromIjk", BeyondLimit("a voxel"),
                                ijk.device(),  CurrentStream(ijk),
                                batch_size,    BoxesOfRows(ijk.size(0), batch_size),
                                ijk.size(0)};
  ASSIGN_OR_RETURN(Built built, Build(request, [&](const BuildArea& area, bool find_boxes) {
                     return LaunchFromIjk(ViewOf<const int32_t, 2>(ijk), samples, find_boxes, area, request.stream);
                   }));
  return Finish(request, std::move(built), transform);
}

absl::StatusOr<VoxelGrid> DeviceGridFromPoints(const at::Tensor& points, const std::vector<int64_t>& host_offsets,
                                               const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTransform(transform));
  RETURN_IF_ERROR(CheckOffsets(host_offsets, points.size(0), "GridFromPoints"));
  const int64_t batch_size = static_cast<int64_t>(host_offsets.size()) - 1;
  at::Tensor holder;
  const RowSamples samples = SamplesOf(host_offsets, points.device(), &holder);
  const std::string too_far =
      absl::StrCat("the point is not finite or more than ", kMaxCoordinate, " voxels from the grid's origin");
  const BuildRequest request = {"GridFromPoints",      too_far,    points.device(),
                                CurrentStream(points), batch_size, BoxesOfRows(points.size(0), batch_size),
                                points.size(0)};
  const FloatTransform to_grid(transform);
  ASSIGN_OR_RETURN(Built built, Build(request, [&](const BuildArea& area, bool find_boxes) {
                     return LaunchFromPoints(ViewOf<const float, 2>(points), samples, to_grid, find_boxes, area,
                                             request.stream);
                   }));
  return Finish(request, std::move(built), transform);
}

absl::StatusOr<VoxelGrid> DeviceGridFromDenseMask(const at::Tensor& mask, const std::array<int, 3>& ijk_min,
                                                  const GridTransform& transform) {
  RETURN_IF_ERROR(CheckTransform(transform));
  const int64_t samples = mask.size(0);
  LeafBox box;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t end = ijk_min[axis] + mask.size(1 + axis);
    if (ijk_min[axis] < -kMaxCoordinate || end > kMaxCoordinate) {
      return DataError(absl::StrCat("GridFromDenseMask: axis ", axis, " runs from ", ijk_min[axis], " to ", end,
                                    ", beyond +-", kMaxCoordinate));
    }
    box.first[axis] = ijk_min[axis] >> 3;
    box.last[axis] = (static_cast<int32_t>(end) - 1) >> 3;
  }
  if (mask.numel() == 0) box = LeafBox();
  const BuildRequest request = {"GridFromDenseMask",
                                BeyondLimit("a voxel"),
                                mask.device(),
                                CurrentStream(mask),
                                samples,
                                std::vector<LeafBox>(samples, box),
                                mask.numel()};
  ASSIGN_OR_RETURN(Built built, Build(request, [&](const BuildArea& area, bool find_boxes) {
                     return LaunchFromDenseMask(ViewOf<const bool, 4>(mask), ijk_min.data(), find_boxes, area,
                                                request.stream);
                   }));
  return Finish(request, std::move(built), transform);
}

absl::StatusOr<std::pair<VoxelGrid, at::Tensor>> DeviceCoarsen(const VoxelGrid& grid,
                                                               const std::array<int, 3>& factor) {
  RETURN_IF_ERROR(CheckFactor(factor, "Coarsen"));
  std::vector<LeafBox> boxes = BoxesIn(grid.host_directory_box.data(), grid.batch_size());
  for (LeafBox& box : boxes) {
    for (int axis = 0; axis < 3 && !box.empty(); ++axis) {
      box.first[axis] = FloorDivide(8 * box.first[axis], factor[axis]) >> 3;
      box.last[axis] = FloorDivide(8 * box.last[axis] + 7, factor[axis]) >> 3;
    }
  }
  int64_t most_leaves = grid.leaf_base.size(0);
  for (const int f : factor) {
    // Eight voxels become at most eight, in one leaf where they begin together or in two.
    most_leaves = LimitedProduct(most_leaves, 8 % f == 0 || f % 8 == 0 ? 1 : 2);
  }
  const BuildRequest request = {"Coarsen",         BeyondLimit("a voxel"), grid.ijk.device(), CurrentStream(grid.ijk),
                                grid.batch_size(), std::move(boxes),       most_leaves};
  at::Tensor parent = New({grid.num_voxels()}, at::kLong, grid.ijk.device());
  ASSIGN_OR_RETURN(Built built, Build(request, [&](const BuildArea& area, bool find_boxes) {
                     return LaunchCoarsen(ViewOf<const int32_t, 2>(grid.ijk), SamplesOf(grid), factor.data(),
                                          find_boxes, area, parent.mutable_data_ptr<int64_t>(), request.stream);
                   }));
  return std::pair(Finish(request, std::move(built), grid.transform.Coarsened(factor)), std::move(parent));
}

absl::StatusOr<std::pair<VoxelGrid, at::Tensor>> DeviceSubdivide(const VoxelGrid& grid,
                                                                 const std::array<int, 3>& factor,
                                                                 const at::Tensor& keep) {
  RETURN_IF_ERROR(CheckFactor(factor, "Subdivide"));
  std::vector<LeafBox> boxes = BoxesIn(grid.host_directory_box.data(), grid.batch_size());
  const auto limited = [](int64_t leaf) {
    // Children beyond are errors, found on the device.
    return static_cast<int32_t>(std::clamp<int64_t>(leaf, -kMaxCoordinate / 8, kMaxCoordinate / 8));
  };
  for (LeafBox& box : boxes) {
    for (int axis = 0; axis < 3 && !box.empty(); ++axis) {
      box.first[axis] = limited(int64_t{box.first[axis]} * factor[axis]);
      box.last[axis] = limited((int64_t{box.last[axis]} + 1) * factor[axis] - 1);
    }
  }
  int64_t most_leaves = grid.leaf_base.size(0);
  for (const int f : factor) most_leaves = LimitedProduct(most_leaves, f);
  const BuildRequest request = {"Subdivide",       BeyondLimit("a child's"), grid.ijk.device(), CurrentStream(grid.ijk),
                                grid.batch_size(), std::move(boxes),         most_leaves};
  ASSIGN_OR_RETURN(Built built, Build(request, [&](const BuildArea& area, bool find_boxes) {
                     return LaunchSubdivide(ViewOf<const int32_t, 2>(grid.ijk), SamplesOf(grid),
                                            ViewOf<const bool, 1>(keep), factor.data(), find_boxes, area,
                                            request.stream);
                   }));
  at::Tensor parent;
  VoxelGrid children = Finish(request, std::move(built), grid.transform.Subdivided(factor), &grid, factor, &parent);
  return std::pair(std::move(children), std::move(parent));
}

absl::StatusOr<at::Tensor> DeviceLookup(const VoxelGrid& grid, const at::Tensor& ijk,
                                        const std::vector<int64_t>& host_offsets) {
  RETURN_IF_ERROR(CheckQueryOffsets(host_offsets, ijk.size(0), grid.batch_size(), "Lookup"));
  at::Tensor holder;
  const RowSamples samples =
      host_offsets == grid.host_offsets ? SamplesOf(grid) : SamplesOf(host_offsets, ijk.device(), &holder);
  at::Tensor row = New({ijk.size(0)}, at::kLong, ijk.device());
  CheckCuda(LookupCuda(grid.View().leaves, ViewOf<const int32_t, 2>(ijk), samples, row.mutable_data_ptr<int64_t>(),
                       CurrentStream(ijk)),
            "Lookup");
  return row;
}

at::Tensor DeviceDenseIndex(const VoxelGrid& grid, const std::array<int, 3>& ijk_min, const std::array<int, 3>& dims) {
  at::Tensor index = New({grid.num_voxels()}, at::kLong, grid.ijk.device());
  CheckCuda(DenseIndexCuda(ViewOf<const int32_t, 2>(grid.ijk), SamplesOf(grid), ijk_min.data(), dims.data(),
                           index.mutable_data_ptr<int64_t>(), CurrentStream(grid.ijk)),
            "DenseIndex");
  return index;
}

at::Tensor DeviceNeighborMap(const VoxelGrid& grid, at::Tensor* tap_mask) {
  at::Tensor map = New({27, grid.num_voxels()}, at::kInt, grid.ijk.device());
  uint32_t* taps = nullptr;
  if (tap_mask != nullptr) {
    *tap_mask = New({grid.num_voxels()}, at::kInt, grid.ijk.device());
    taps = reinterpret_cast<uint32_t*>(tap_mask->mutable_data_ptr<int32_t>());
  }
  CheckCuda(NeighborMapCuda(grid.View().leaves, ViewOf<const int32_t, 2>(grid.ijk), SamplesOf(grid),
                            map.mutable_data_ptr<int32_t>(), taps, CurrentStream(grid.ijk)),
            "NeighborMap");
  return map;
}

}  // namespace cubist
