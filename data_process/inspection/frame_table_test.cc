#include "data_process/inspection/frame_table.h"

#include <random>
#include <set>

#include "gtest/gtest.h"

namespace cubist {
namespace {

using Frames = std::vector<int64_t>;

std::string Text(const std::vector<MissingFrames>& missing) {
  std::string text;
  for (const MissingFrames& one : missing) {
    text += one.clip + "/" + one.attribute + "/" + one.series + ": " + ListRanges(one.ranges) + "; ";
  }
  return text;
}

TEST(FrameTable, FindsGapsAndEnds) {
  FrameTable table;
  table.Add("a", "pose", {{"front", {4, 5, 6, 9}}, {"left", {3, 4, 5, 6, 7, 8, 9}}});
  table.Add("a", "image", {{"front", {5, 7}}});
  table.Add("a", "intrinsic", {});
  table.Add("b", "pose", {{"front", {0, 1}}});  // no left camera
  table.Add("b", "image", {});                  // no frame at all
  table.Add("c", "image", {});                  // a clip without frames lacks none
  EXPECT_EQ(Text(table.Missing()),
            "a/image/front: 3..4, 6, 8..9; a/pose/front: 3, 7..8; b/image/front: 0..1; b/pose/left: 0..1; ");
}

TEST(FrameTable, NothingIsMissingWhereAllAgree) {
  FrameTable table;
  for (const char* clip : {"a", "b"}) {
    table.Add(clip, "pose", {{"front", {0, 1, 2}}});
    table.Add(clip, "video", {{"frame", {0, 1, 2}}});
  }
  table.Add("c", "pose", {{"front", {0, 1, 2, 3}}});  // clips may differ
  EXPECT_EQ(Text(table.Missing()), "");
}

TEST(FrameTable, AgreesWithSets) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 500; ++trial) {
    FrameTable table;
    std::map<std::string, std::set<int64_t>> frames;
    std::set<int64_t> all;
    for (const char* attribute : {"x", "y", "z"}) {
      for (int i = 0; i < 12; ++i) {
        if (random() % 3 > 0) frames[attribute].insert(i);
      }
      all.insert(frames[attribute].begin(), frames[attribute].end());
      table.Add("clip", attribute, {{"s", Frames(frames[attribute].begin(), frames[attribute].end())}});
    }
    std::map<std::string, std::set<int64_t>> expected, found;
    for (const auto& [attribute, has] : frames) {
      for (int64_t i = *all.begin(); i <= *all.rbegin(); ++i) {
        if (has.count(i) == 0) expected[attribute].insert(i);
      }
    }
    for (const MissingFrames& one : table.Missing()) {
      for (const FrameRange& range : one.ranges) {
        for (int64_t i = range.first; i <= range.last; ++i) found[one.attribute].insert(i);
      }
    }
    ASSERT_EQ(found, expected);
  }
}

}  // namespace
}  // namespace cubist
