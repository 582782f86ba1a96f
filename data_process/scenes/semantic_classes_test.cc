#include "data_process/scenes/semantic_classes.h"

#include <cstdlib>
#include <map>
#include <set>

#include "gtest/gtest.h"

namespace cubist {
namespace {

TEST(SemanticClasses, BelongToTheGroupsOfTheData) {
  const std::map<int, std::set<int>> groups = {
      {0, {8, 9, 11}}, {1, {5, 6, 7, 12, 13}}, {2, {21, 22}}, {3, {1, 2, 3, 4}}, {4, {15, 16}}, {5, {17, 19}},
      {6, {14}},       {7, {18, 20}},          {8, {0}},      {9, {10}}};
  std::map<int, std::set<int>> found;
  for (int id = 0; id < kSemanticClassCount; ++id) {
    found[static_cast<int>(kSemanticClasses[id].group)].insert(id);
    EXPECT_EQ(IsVehicle(id), groups.at(3).count(id) == 1);
  }
  EXPECT_EQ(found, groups);
  EXPECT_EQ(kSemanticClasses[static_cast<int>(SemanticClass::kRoad)].name, "ROAD");
  EXPECT_EQ(kSemanticClasses[static_cast<int>(SemanticClass::kSidewalk)].name, "SIDEWALK");
  EXPECT_EQ(kSemanticClasses[static_cast<int>(SemanticClass::kBuilding)].name, "BUILDING");
}

// The reference's palette, as its buffers have it: by class, the index of a row of colours.
TEST(SemanticClasses, BuffersHaveTheReferencesColours) {
  const int rows[kSemanticClassCount] = {8, 3, 3, 3, 3, 1, 1, 1, 0, 0, 9, 0, 1, 1, 6, 4, 4, 5, 7, 5, 7, 2, 2};
  const int colours[10][3] = {{102, 194, 165}, {252, 141, 98},  {141, 160, 203}, {188, 128, 189}, {77, 175, 74},
                              {255, 217, 47},  {229, 196, 148}, {179, 179, 179}, {31, 120, 180},  {204, 235, 197}};
  for (int label = 0; label < kSemanticClassCount; ++label) {
    const int row = static_cast<int>(kSemanticClasses[label].group);
    EXPECT_EQ(row, rows[label]) << kSemanticClasses[label].name;
    for (int channel = 0; channel < 3; ++channel) EXPECT_EQ(kBufferColours[row][channel], colours[row][channel]);
  }
}

TEST(SemanticClasses, HaveColoursThatCanBeToldApart) {
  for (int a = 0; a < kSemanticClassCount; ++a) {
    for (int b = 0; b < a; ++b) {
      int difference = 0;
      for (int channel = 0; channel < 3; ++channel) {
        difference += std::abs(kSemanticClasses[a].colour[channel] - kSemanticClasses[b].colour[channel]);
      }
      EXPECT_GT(difference, 32) << kSemanticClasses[a].name << " and " << kSemanticClasses[b].name;
    }
  }
}

}  // namespace
}  // namespace cubist
