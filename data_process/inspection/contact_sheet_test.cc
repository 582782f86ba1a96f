// Colours and sizes; what a whole sheet of a data set shows is tested from outside, in data_process/inspect_test.py.
#include "data_process/inspection/contact_sheet.h"

#include <string>
#include <vector>

#include "base/file_ops.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

TEST(ColourDepth, NearIsRedFarIsBlueNothingIsDark) {
  const HostTensor depth = HostTensor::Of<uint16_t>({1, 500, 2000, 4000, 6000, 8000, 9000, 65535, 0}, {1, 9});
  const HostTensor picture = ColourDepth(depth);
  ASSERT_EQ(picture.shape(), (std::vector<int64_t>{1, 9, 3}));
  const auto pixel = picture.view<uint8_t, 3>();
  for (const int near : {0, 1}) EXPECT_GT(pixel(0, near, 0), pixel(0, near, 2) + 80);
  for (const int far : {4, 5}) EXPECT_GT(pixel(0, far, 2), pixel(0, far, 0));
  for (int c = 0; c < 3; ++c) {
    EXPECT_EQ(pixel(0, 6, c), pixel(0, 5, c)) << "beyond the scale";
    EXPECT_EQ(pixel(0, 7, c), pixel(0, 5, c));
    EXPECT_LT(pixel(0, 8, c), 60);
    for (int other = 0; other < 5; ++other) {
      if (pixel(0, other, c) != pixel(0, other + 1, c)) continue;
      EXPECT_TRUE(pixel(0, other, (c + 1) % 3) != pixel(0, other + 1, (c + 1) % 3) ||
                  pixel(0, other, (c + 2) % 3) != pixel(0, other + 1, (c + 2) % 3));
    }
  }
}

TEST(DrawContactSheet, TakesAnyPictureAndAnyText) {
  std::vector<SheetRow> rows;
  // Sizes from one pixel to much larger than a panel, flat and upright.
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{1, 1, 3}, {1280, 1920, 3}, {2000, 3, 3}, {3, 2000, 3}, {240, 416, 3}}) {
    ClipPicture picture;
    picture.title = std::string(300, 'w');
    picture.pixels = HostTensor(DType::kUInt8, shape);
    std::fill_n(picture.pixels.data<uint8_t>(), picture.pixels.size(), uint8_t{200});
    ClipPicture depth = picture;
    depth.metres = kDepthPictureMetres;
    ClipPicture none;
    none.reason = std::string(500, 'x') + " y" + std::string(2000, ' ') + "\n\xff\x01%s";
    rows.push_back({std::string(400, 'c'), 7, {picture, none, depth}});
  }
  const HostTensor sheet = DrawContactSheet(rows);
  EXPECT_EQ(sheet.shape(), (std::vector<int64_t>{12 + 5 * (24 + 240 + 20 + 12) + 30, 3 * 416 + 4 * 12, 3}));
  const auto pixel = sheet.view<uint8_t, 3>();
  const auto panel_row = [](int row) { return 12 + row * (24 + 240 + 20 + 12) + 24; };
  // Pictures keep their proportions: a square fills the middle, an upright one is narrow.
  EXPECT_EQ(pixel(panel_row(0) + 120, 12 + 208, 0), 200);
  EXPECT_NE(pixel(panel_row(0) + 120, 12 + 5, 0), 200);
  EXPECT_NE(pixel(panel_row(2) + 120, 12 + 150, 0), 200);
  EXPECT_EQ(pixel(panel_row(4), 12, 0), 200);
  EXPECT_EQ(pixel(panel_row(4) + 239, 12 + 415, 0), 200);
}

TEST(ClipPictures, ReasonsNameFilesWithoutTheirFolders) {
  // Blanks and all.
  const std::string root = ::testing::TempDir() + "my data of/to day";
  const std::string path = root + "/image_480p_front/a b.tar";
  ASSERT_TRUE(MakeDirectories(SystemFileOps(), root + "/image_480p_front").ok());
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, std::string(700, 'x')).ok());
  DataTree tree;
  tree.root = root;
  tree.clips = {"a b"};
  tree.attributes = {{"image_480p_front", {{"a b", {ClipFile::Kind::kTar, path}}}}};
  const ClipPictures pictures(tree, "a b", ReadLimits::default_instance());
  const ClipPicture front = pictures.Front(0);
  EXPECT_EQ(front.pixels.size(), 0);
  EXPECT_EQ(front.reason.find("a b.tar"), 0u) << front.reason;
  EXPECT_EQ(front.reason.find(root), std::string::npos) << front.reason;
}

}  // namespace
}  // namespace cubist
