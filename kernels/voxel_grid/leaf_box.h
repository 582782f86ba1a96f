// The boxes of leaves that a batch's directories span. For the operations of this folder that make grids.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LEAF_BOX_H_
#define CUBIST_KERNELS_VOXEL_GRID_LEAF_BOX_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

// First and last leaf coordinate (ijk >> 3) of a sample along each axis; empty when last < first.
struct LeafBox {
  std::array<int32_t, 3> first = {0, 0, 0};
  std::array<int32_t, 3> last = {-1, -1, -1};

  bool empty() const { return last[0] < first[0]; }
  void Include(const std::array<int32_t, 3>& leaf);
  void Include(const LeafBox& other);
};

// Where each sample's directory lies.
struct DirectoryLayout {
  std::vector<int32_t> box;  // [B, 8], as LeafTableView::box
  int64_t cells = 0;         // of all directories
};

// DataError naming `what`, the sample and its extents when the boxes have more than kMaxDirectoryCells cells.
absl::StatusOr<DirectoryLayout> LayOutDirectory(const std::vector<LeafBox>& boxes, std::string_view what);

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LEAF_BOX_H_
