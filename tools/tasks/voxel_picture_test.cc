#include "tools/tasks/voxel_picture.h"

#include <gtest/gtest.h>

#include <map>

#include "data_process/scenes/semantic_classes.h"

namespace cubist {
namespace {

// Pixels of each colour in columns [begin, end).
std::map<std::array<int, 3>, int> Colours(const HostTensor& image, int64_t begin, int64_t end) {
  std::map<std::array<int, 3>, int> counts;
  const auto pixels = image.view<uint8_t, 3>();
  for (int64_t y = 0; y < pixels.shape[0]; ++y) {
    for (int64_t x = begin; x < end; ++x) ++counts[{pixels(y, x, 0), pixels(y, x, 1), pixels(y, x, 2)}];
  }
  return counts;
}

TEST(VoxelPictureTest, EachSideShowsItsOwnVoxels) {
  const VoxelBox box{{-4, -4, -2}, {8, 8, 4}};
  LabelledVoxels one, none;
  one.ijk = HostTensor::Of<int32_t>({0, 0, 0, 100, 0, 0}, {2, 3});
  one.labels =
      HostTensor::Of<int32_t>({static_cast<int>(SemanticClass::kCar), static_cast<int>(SemanticClass::kRoad)}, {2});
  // The slices are where the input has most voxels: here, its voxel, or the box's start.
  one.ijk.data<int32_t>()[0] = one.ijk.data<int32_t>()[1] = -4;
  const HostTensor left = DrawComparison(one, none, box), right = DrawComparison(none, one, box);
  const HostTensor empty = DrawComparison(none, none, box);
  ASSERT_EQ(left.shape(), empty.shape());
  const int64_t middle = left.shape()[1] / 2, width = left.shape()[1];
  EXPECT_EQ(Colours(left, middle, width), Colours(empty, middle, width));
  EXPECT_EQ(Colours(right, 0, middle), Colours(empty, 0, middle));
  EXPECT_NE(Colours(left, 0, middle), Colours(empty, 0, middle));
  EXPECT_EQ(Colours(left, 0, middle), Colours(right, middle, width)) << "both sides draw the same way";
}

TEST(VoxelPictureTest, TheBirdsEyeViewLooksForward) {
  // A voxel ahead of another one appears above it: compare the rows of the first pixels that differ.
  const VoxelBox box{{0, 0, 0}, {4, 4, 1}};
  const auto first_row = [&](int i) {
    LabelledVoxels voxels;
    voxels.ijk = HostTensor::Of<int32_t>({i, 0, 0}, {1, 3});
    voxels.labels = HostTensor::Of<int32_t>({1}, {1});
    const HostTensor drawn = DrawComparison(voxels, {}, box), empty = DrawComparison({}, {}, box);
    int64_t last = -1;
    // From below, past the two slices: the lowest differing row above them belongs to the bird's-eye view or cubes.
    for (int64_t y = 0; y < drawn.shape()[0]; ++y) {
      for (int64_t x = 0; x < drawn.shape()[1]; ++x) {
        if (drawn.view<uint8_t, 3>()(y, x, 0) != empty.view<uint8_t, 3>()(y, x, 0)) {
          last = y;
          return last;
        }
      }
    }
    return last;
  };
  EXPECT_LT(first_row(3), first_row(0));
}

}  // namespace
}  // namespace cubist
