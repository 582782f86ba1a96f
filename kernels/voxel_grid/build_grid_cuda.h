// Builds leaf tables on a GPU. The launchers allocate nothing and wait for nothing (kernels/cuda/launch.h).
//
// 1. The caller lays out a BuildArea (BuildAreaBytes, LayOutBuildArea) and writes its summary as the host's copy of a
//    GridSummary: either boxes that hold everything, or empty boxes that step 2 widens.
// 2. One of the Launch...() functions finds the boxes (where asked), marks the leaves that will hold voxels, gives them
//    places in canonical order by a scan (leaf_order.h), sets bits, counts, and leaves all numbers in the summary.
// 3. The caller waits for a copy of the summary. When its flags are 0, EmitGrid writes the grid's own arrays; a flag
//    that says that an area was too small asks for a second try.
#ifndef CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_CUDA_H_
#define CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"
#include "kernels/voxel_grid/grid_transform.h"
#include "kernels/voxel_grid/leaf_table.h"
#include "kernels/voxel_grid/row_samples.h"

namespace cubist {

// What went wrong, ored together in the summary.
inline constexpr int64_t kVoxelTooFar = 1;       // a voxel beyond kMaxCoordinate, or a point that is not finite
inline constexpr int64_t kTooFewCells = 2;       // the boxes have more than cell_capacity cells; they are valid
inline constexpr int64_t kTooSmallLeafArea = 4;  // more than leaf_capacity leaves; `leaves` and the boxes are valid
inline constexpr int64_t kNoBadRow = INT64_MAX;

// The numbers that the host needs, in one array of int64 so that one copy brings them.
struct GridSummary {
  int64_t* data = nullptr;
  int64_t batch_size = 0;

  static int64_t Words(int64_t batch_size) { return 4 + (batch_size + 1) + 4 * batch_size; }
  CUBIST_HOST_DEVICE int64_t& flags() const { return data[0]; }
  CUBIST_HOST_DEVICE int64_t& cells() const { return data[1]; }
  CUBIST_HOST_DEVICE int64_t& leaves() const { return data[2]; }
  CUBIST_HOST_DEVICE int64_t& first_bad_row() const { return data[3]; }  // of the rows of the input; kNoBadRow
  static constexpr int64_t kOffsets = 4;
  CUBIST_HOST_DEVICE int64_t* offsets() const { return data + kOffsets; }  // [B+1]
  // int32 [B, 8], as LeafTableView::box. Where boxes are to be found: first and last leaf of each sample, at the start
  // {INT32_MAX x 3, INT32_MIN x 3, 0, 0}.
  CUBIST_HOST_DEVICE int32_t* boxes() const { return reinterpret_cast<int32_t*>(data + kOffsets + batch_size + 1); }
};

// Device memory that a build works in.
struct BuildArea {
  GridSummary summary;
  int64_t cell_capacity = 0, leaf_capacity = 0;
  // From here on set by LayOutBuildArea.
  uint8_t* marks = nullptr;      // [cells], by place
  int32_t* directory = nullptr;  // [cells]
  int32_t* block_sums = nullptr;
  uint64_t* mask = nullptr;    // [leaves, 8]
  uint64_t* prefix = nullptr;  // [leaves]
  int32_t* base = nullptr;     // [leaves]
  int32_t* origin = nullptr;   // [leaves, 4]

  // The table that is being built; num_leaves is the capacity.
  CUBIST_HOST_DEVICE LeafTableView Table() const {
    LeafTableView table;
    table.num_leaves = leaf_capacity;
    table.batch_size = summary.batch_size;
    table.mask = mask;
    table.prefix = prefix;
    table.base = base;
    table.origin = origin;
    table.box = summary.boxes();
    table.directory = directory;
    return table;
  }
};
// Of the area's capacities; memory aligned to 256 bytes.
int64_t BuildAreaBytes(const BuildArea& area);
void LayOutBuildArea(void* memory, BuildArea* area);

// The voxels of coordinates or of points; see build_grid.h. find_boxes: the summary's boxes are empty.
cudaError_t LaunchFromIjk(View<const int32_t, 2> ijk, RowSamples samples, bool find_boxes, const BuildArea& area,
                          cudaStream_t stream);
cudaError_t LaunchFromPoints(View<const float, 2> points, RowSamples samples, const FloatTransform& transform,
                             bool find_boxes, const BuildArea& area, cudaStream_t stream);
cudaError_t LaunchFromDenseMask(View<const bool, 4> mask, const int ijk_min[3], bool find_boxes, const BuildArea& area,
                                cudaStream_t stream);
// The voxels floor(ijk / factor) of a grid, and parent int64 [N], the row of each.
cudaError_t LaunchCoarsen(View<const int32_t, 2> ijk, RowSamples samples, const int factor[3], bool find_boxes,
                          const BuildArea& area, int64_t* parent, cudaStream_t stream);
// The children of the voxels of a grid whose keep [N] is true.
cudaError_t LaunchSubdivide(View<const int32_t, 2> ijk, RowSamples samples, View<const bool, 1> keep,
                            const int factor[3], bool find_boxes, const BuildArea& area, cudaStream_t stream);

// What a grid keeps, on the device; sizes as in the summary.
struct GridArrays {
  uint64_t* mask = nullptr;
  uint64_t* prefix = nullptr;
  int32_t* base = nullptr;
  int32_t* origin = nullptr;
  int32_t* directory = nullptr;
  int32_t* ijk = nullptr;  // [N, 3]
};
// Copies `leaves` leaves and `cells` cells out of the area and writes ijk. With `parent` [N] not null also the row, in
// the grid `parents`, of the voxel floor(ijk / factor).
cudaError_t EmitGrid(const BuildArea& area, int64_t leaves, int64_t cells, const GridArrays& grid,
                     const LeafTableView& parents, const int factor[3], int64_t* parent, cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_BUILD_GRID_CUDA_H_
