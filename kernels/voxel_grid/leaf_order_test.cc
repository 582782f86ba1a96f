#include "kernels/voxel_grid/leaf_order.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/voxel_grid/grid_test_util.h"

namespace cubist {
namespace {

// All leaves of a box, sorted by the written-out key of their voxels.
void ExpectOrder(const Ijk& first, const Ijk& extent) {
  const int32_t box[8] = {first[0], first[1], first[2], extent[0], extent[1], extent[2], 0, 0};
  std::vector<Ijk> voxels;
  for (int32_t x = 0; x < extent[0]; ++x) {
    for (int32_t y = 0; y < extent[1]; ++y) {
      for (int32_t z = 0; z < extent[2]; ++z) {
        voxels.push_back({8 * (first[0] + x), 8 * (first[1] + y), 8 * (first[2] + z)});
      }
    }
  }
  std::sort(voxels.begin(), voxels.end(), CanonicalLess());
  for (size_t n = 0; n < voxels.size(); ++n) {
    ASSERT_EQ(PlaceOfLeaf(LeafCells(box), voxels[n][0] >> 3, voxels[n][1] >> 3, voxels[n][2] >> 3), n);
    int32_t leaf[3];
    LeafAtPlace(LeafCells(box), static_cast<uint32_t>(n), leaf);
    ASSERT_EQ((Ijk{8 * leaf[0], 8 * leaf[1], 8 * leaf[2]}), voxels[n]);
  }
}

TEST(LeafOrderTest, IsTheCanonicalOrder) {
  ExpectOrder({0, 0, 0}, {1, 1, 1});
  ExpectOrder({-20, -3, 500}, {40, 7, 30});     // across lower nodes and root tiles
  ExpectOrder({-515, -514, -517}, {9, 6, 11});  // across a tile's far corner
  ExpectOrder({510, 1, -1}, {5, 33, 2});
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; ++round) {
    const auto near_tile = [&] {
      return static_cast<int32_t>(random() % 60) - 30 + 512 * static_cast<int32_t>(random() % 3 - 1);
    };
    const auto extent = [&] { return 1 + static_cast<int32_t>(random() % 40); };
    ExpectOrder({near_tile(), near_tile(), near_tile()}, {extent(), extent(), extent()});
  }
}

}  // namespace
}  // namespace cubist
