#include "kernels/voxel_grid/leaf_box.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/voxel_grid/leaf_table.h"

namespace cubist {

void LeafBox::Include(const std::array<int32_t, 3>& leaf) {
  if (empty()) {
    first = last = leaf;
    return;
  }
  for (int axis = 0; axis < 3; ++axis) {
    first[axis] = std::min(first[axis], leaf[axis]);
    last[axis] = std::max(last[axis], leaf[axis]);
  }
}

void LeafBox::Include(const LeafBox& other) {
  if (other.empty()) return;
  Include(other.first);
  Include(other.last);
}

absl::StatusOr<DirectoryLayout> LayOutDirectory(const std::vector<LeafBox>& boxes, std::string_view what) {
  DirectoryLayout layout;
  layout.box.resize(8 * boxes.size());
  for (size_t sample = 0; sample < boxes.size(); ++sample) {
    const LeafBox& box = boxes[sample];
    int32_t* row = layout.box.data() + 8 * sample;
    int64_t size = 1;
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t extent = box.empty() ? 0 : int64_t{box.last[axis]} - box.first[axis] + 1;
      row[axis] = box.empty() ? 0 : box.first[axis];
      row[3 + axis] = static_cast<int32_t>(std::min<int64_t>(extent, std::numeric_limits<int32_t>::max()));
      // Extents are below 2^30; the product is cut off before it can overflow.
      size = std::min(size, kMaxDirectoryCells + 1) * extent;
    }
    row[6] = static_cast<int32_t>(std::min(layout.cells, kMaxDirectoryCells));
    row[7] = 0;
    layout.cells += size;
    if (layout.cells > kMaxDirectoryCells) {
      return DataError(absl::StrCat(std::string(what), ": sample ", sample, " spans ", 8 * int64_t{row[3]}, " x ",
                                    8 * int64_t{row[4]}, " x ", 8 * int64_t{row[5]}, " voxels; the batch would need ",
                                    "more than the ", kMaxDirectoryCells,
                                    " directory cells that are allowed. Crop the points, use larger voxels, or "
                                    "put fewer samples into a batch"));
    }
  }
  return layout;
}

}  // namespace cubist
