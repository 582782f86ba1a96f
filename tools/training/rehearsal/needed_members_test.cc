#include "tools/training/rehearsal/needed_members.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace cubist {
namespace {

using Expected = std::map<std::pair<std::string, std::string>, std::set<int64_t>>;

Expected Found(const Data& data) {
  Expected found;
  for (const NeededMember& member : NeededMembers(data)) found[{member.attribute, member.suffix}] = member.offsets;
  return found;
}

Data Frames(const std::vector<std::string>& attributes) {
  Data data;
  for (const std::string& attribute : attributes) data.add_attributes(attribute);
  for (const int offset : {3, 5}) data.add_input_frame_offsets(offset);
  for (const int offset : {0, 5, 9}) data.add_supervision_frame_offsets(offset);
  return data;
}

TEST(NeededMembersTest, OfAVoxelModel) {
  Data data = Frames({"pose", "pc_with_map_without_car_voxelsize_01", "static_object_info", "dynamic_object_info",
                      "3d_road_edge_voxelsize_025", "3d_road_line_voxelsize_025"});
  data.add_map_types("road_line");
  // Everything is of the first input frame; a map that is not asked for is not read.
  EXPECT_EQ(Found(data), (Expected{{{"pose", "pose.front.npy"}, {3}},
                                   {{"pc_with_map_without_car_voxelsize_01", "pcd.vs01.pth"}, {}},
                                   {{"static_object_info", "static_object_info.json"}, {3}},
                                   {{"dynamic_object_info", "dynamic_object_info.json"}, {3}},
                                   {{"3d_road_line_voxelsize_025", "road_line.npy"}, {}}}));
}

TEST(NeededMembersTest, OfImagesByView) {
  Data data = Frames({"pose", "intrinsic", "pc_voxelsize_01", "image_480p_front", "image_480p_side_left",
                      "skymask_480p_front", "skymask_480p_side_left", "image_480p_side_right"});
  data.add_input_views(SIDE_LEFT);
  data.add_supervision_views(FRONT);
  data.add_supervision_views(SIDE_LEFT);
  const std::set<int64_t> supervision = {0, 5, 9}, all = {0, 3, 5, 9};
  EXPECT_EQ(Found(data), (Expected{{{"pc_voxelsize_01", "pcd.vs01.pth"}, {}},
                                   {{"intrinsic", "intrinsic.front.npy"}, {}},
                                   {{"intrinsic", "intrinsic.side_left.npy"}, {}},
                                   {{"pose", "pose.front.npy"}, all},
                                   {{"pose", "pose.side_left.npy"}, all},
                                   {{"image_480p_front", "image.front.jpg"}, supervision},
                                   {{"image_480p_side_left", "image.side_left.jpg"}, all},
                                   {{"skymask_480p_front", "skymask.front.png"}, supervision},
                                   {{"skymask_480p_side_left", "skymask.side_left.png"}, all}}));
}

}  // namespace
}  // namespace cubist
