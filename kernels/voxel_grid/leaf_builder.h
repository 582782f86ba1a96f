// Builds the leaf table of a batch on the host. For the operations of this folder that make grids.
//
// 1. Create() with the box of each sample, in leaves.
// 2. MarkLeaf() every leaf that will hold a voxel (threads may mark at once).
// 3. Seal() gives leaves their places in canonical order.
// 4. Set bits: SetVoxel() from many threads, or mask() from one thread a leaf.
// 5. Finish() counts, and writes rows.
#ifndef CUBIST_KERNELS_VOXEL_GRID_LEAF_BUILDER_H_
#define CUBIST_KERNELS_VOXEL_GRID_LEAF_BUILDER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/voxel_grid/host_grid.h"
#include "kernels/voxel_grid/leaf_box.h"

namespace cubist {

class LeafBuilder {
 public:
  // Errors as of LayOutDirectory.
  static absl::StatusOr<LeafBuilder> Create(const std::vector<LeafBox>& boxes, std::string_view what);

  // The leaf, by its leaf coordinates, will hold a voxel. It lies in the sample's box.
  void MarkLeaf(int64_t sample, int32_t leaf_i, int32_t leaf_j, int32_t leaf_k) {
    int32_t* cell = directory_.data<int32_t>() + Cell(sample, leaf_i, leaf_j, leaf_k);
    if (__atomic_load_n(cell, __ATOMIC_RELAXED) != kMarked) __atomic_store_n(cell, kMarked, __ATOMIC_RELAXED);
  }

  void Seal();

  int64_t num_leaves() const { return leaf_origin_.shape()[0]; }
  // int32 [4]: i, j, k of the first cell; sample.
  const int32_t* origin(int64_t leaf) const { return leaf_origin_.data<int32_t>() + 4 * leaf; }
  // uint64 [8], to be filled by one thread.
  uint64_t* mask(int64_t leaf) { return reinterpret_cast<uint64_t*>(leaf_mask_.data<int64_t>()) + 8 * leaf; }

  // Voxel (i, j, k) is active; its leaf has been marked.
  void SetVoxel(int64_t sample, int32_t i, int32_t j, int32_t k) {
    const int32_t leaf = directory_.data<int32_t>()[Cell(sample, i >> 3, j >> 3, k >> 3)];
    uint64_t* word = mask(leaf) + (i & 7);
    const uint64_t bit = uint64_t{1} << BitInWord(j, k);
    // Most points fall into a voxel that is set already; the atomic costs several times the load.
    if ((__atomic_load_n(word, __ATOMIC_RELAXED) & bit) == 0) __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
  }

  // DataError naming `what` when there are 2^31 voxels or more. The builder is used up.
  absl::StatusOr<HostVoxelGrid> Finish(const GridTransform& transform, std::string_view what);

 private:
  static constexpr int32_t kMarked = 0;  // any other cell is -1 until Seal()

  int64_t Cell(int64_t sample, int32_t leaf_i, int32_t leaf_j, int32_t leaf_k) const {
    const int32_t* box = directory_box_.data<int32_t>() + 8 * sample;
    return box[6] + (int64_t{leaf_i - box[0]} * box[4] + (leaf_j - box[1])) * box[5] + (leaf_k - box[2]);
  }

  HostTensor directory_box_;
  HostTensor directory_;
  HostTensor leaf_origin_;
  HostTensor leaf_mask_;
};

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_LEAF_BUILDER_H_
