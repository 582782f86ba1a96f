// Every way in which a clip can be bad: the reader refuses it as bad data and says where, to the byte.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/data_place.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/png.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/scene_reader.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

constexpr char kClip[] = "clip";
constexpr char kCloud[] = "pc_with_map_without_car_voxelsize_01";
constexpr char kPoints[] = "dynamic_object_points_canonical";
constexpr char kMap[] = "3d_road_edge_voxelsize_025";
constexpr int64_t kFrame = 30;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const char* const kPoseMember = "clip.000030.pose.front.npy";
const char* const kStaticMember = "clip.000030.static_object_info.json";
const char* const kDynamicMember = "clip.000030.dynamic_object_info.json";
const char* const kCloudMember = "clip.pcd.vs01.pth";
const char* const kPointsMember = "clip.dynamic_object_points_canonical.npz";
const char* const kMapMember = "clip.road_edge.npy";
const char* const kIntrinsicMember = "clip.intrinsic.front.npy";
constexpr char kImage[] = "image_480p_front";
constexpr char kSkyMask[] = "skymask_480p_front";
constexpr char kDepth[] = "voxel_depth_100_480p_front";
const char* const kImageMember = "clip.000030.image.front.jpg";
const char* const kSkyMaskMember = "clip.000030.skymask.front.png";
const char* const kDepthMember = "clip.000030.voxel_depth_100.front.png";

// OpenCV camera at the world's origin that looks along the world's x axis.
const std::vector<double> kPose = {0, 0, 1, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1};
const std::vector<float> kIdentity = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

template <typename T>
std::string Npy(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  return FormatNpy(HostTensor::Of(values, shape));
}

template <typename Class = int64_t>
std::string Cloud(const std::vector<float>& xyz, const std::vector<Class>& classes,
                  const std::vector<float>& pose = kIdentity) {
  return CloudBytes(HostTensor::Of(xyz, {static_cast<int64_t>(xyz.size() / 3), 3}),
                    HostTensor::Of(classes, {static_cast<int64_t>(classes.size())}), HostTensor::Of(pose, {4, 4}));
}

std::string Npz(const std::vector<std::pair<std::string, HostTensor>>& arrays) { return *FormatNpz(arrays); }

const HostTensor& ObjectPoints() {
  static const auto* points = new HostTensor(HostTensor::Of<double>({0, 0, 0}, {1, 3}));
  return *points;
}

std::string Jpeg(int64_t rows, int64_t columns) {
  HostTensor image(DType::kUInt8, {rows, columns, 3});
  std::memset(image.bytes(), 77, image.byte_size());
  return FormatJpeg(image, 90);
}

std::string Png(DType dtype, int64_t rows, int64_t columns) {
  HostTensor image(dtype, {rows, columns});
  std::memset(image.bytes(), 1, image.byte_size());
  return FormatPng(image);
}

// Other members stand before and after the one that is read, so that it lies at no trivial place.
void Write(const std::string& root, const std::string& attribute, const std::string& member, const std::string& bytes) {
  WriteTestTar(root, attribute, kClip,
               {{"clip.000029.before.bin", std::string(700, 'b')},
                {member, bytes},
                {"clip.000031.after.bin", std::string(1300, 'a')}});
}

void WriteGoodClip(const std::string& root) {
  Write(root, "pose", kPoseMember, Npy(kPose, {4, 4}));
  Write(root, "intrinsic", kIntrinsicMember, Npy<double>({2060, 2050, 960, 640, 1920, 1280}, {6}));
  Write(root, kCloud, kCloudMember, Cloud({1, 2, 3, 4, 5, 6}, {18, 14}));
  Write(root, "static_object_info", kStaticMember, "{}");
  Write(root, "dynamic_object_info", kDynamicMember, "{" + ObjectJson("a", "car", {3, 0, 0}, 0, {4, 2, 1}) + "}");
  Write(root, kPoints, kPointsMember,
        Npz({{"a_xyz", ObjectPoints()}, {"a_semantic", HostTensor::Of<int64_t>({1}, {})}}));
  Write(root, kMap, kMapMember, Npy<double>({1, 2, 3}, {1, 3}));
  Write(root, kImage, kImageMember, Jpeg(8, 16));
  Write(root, kSkyMask, kSkyMaskMember, Png(DType::kBool, 8, 16));
  Write(root, kDepth, kDepthMember, Png(DType::kUInt16, 8, 16));
}

Data ConfigOf(const std::string& root) {
  Data data = VoxelVaeData(root);
  data.set_replace_cars_with_cad(false);
  for (const char* attribute : {"intrinsic", kPoints, kMap, kImage, kSkyMask, kDepth}) data.add_attributes(attribute);
  data.add_map_types("road_edge");
  data.add_input_views(FRONT);
  data.add_supervision_views(FRONT);
  return data;
}

absl::Status ReadStatus(const std::string& root) {
  return (*SceneReader::Create(ConfigOf(root), 0))->Read(kClip, kFrame, 0, /*training=*/true).status();
}

void ExpectPlace(const absl::Status& status, const DataPlace& expected) {
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
  const std::optional<DataPlace> place = DataPlaceOf(status);
  ASSERT_TRUE(place.has_value()) << status;
  EXPECT_EQ(place->clip, expected.clip) << status;
  EXPECT_EQ(place->attribute, expected.attribute) << status;
  EXPECT_EQ(place->path, expected.path) << status;
  EXPECT_EQ(place->member, expected.member) << status;
  EXPECT_EQ(place->begin, expected.begin) << status;
  EXPECT_EQ(place->end, expected.end) << status;
}

DataPlace PlaceInTar(const std::string& root, const std::string& attribute) {
  return {kClip, attribute, ClipTarPath(root, attribute, kClip), "", 0, 0};
}

// What is wrong with a member's bytes, by attribute, member, and part of the message.
struct BadMember {
  const char* attribute;
  const char* member;
  std::string bytes;
  const char* message;
};

TEST(SceneReaderPlace, WhatAMemberHoldsIsNamedToTheByte) {
  const std::string root = NewTestFolder("bad_members");
  const HostTensor xyz = HostTensor::Of<float>({1, 2, 3}, {1, 3}), id = HostTensor::Of<int64_t>({18}, {1});
  const HostTensor pose = HostTensor::Of(kIdentity, {4, 4}), one = HostTensor::Of<int64_t>({1}, {});
  std::vector<double> mirrored = kPose, not_finite = kPose, last_row = kPose;
  mirrored[2] = -1;
  not_finite[3] = kNan;
  last_row[15] = 2;
  const std::string good_npy = Npy(kPose, {4, 4}), good_cloud = Cloud({1, 2, 3}, {18});
  std::string flipped_cloud = good_cloud;
  flipped_cloud[good_cloud.size() / 2] ^= 1;
  const std::string object = ObjectJson("a", "car", {3, 0, 0}, 0, {4, 2, 1});
  const auto dynamic = [](const HostTensor& points, const HostTensor& semantic) {
    return Npz({{"a_xyz", points}, {"a_semantic", semantic}});
  };
  const std::string good_npz = dynamic(ObjectPoints(), one);
  const std::vector<BadMember> cases = {
      {"pose", kPoseMember, "", "no npy"},
      {"pose", kPoseMember, "X" + good_npy.substr(1), "no npy"},
      {"pose", kPoseMember, good_npy.substr(0, good_npy.size() - 1), ""},
      {"pose", kPoseMember, Npy<double>({1, 2, 3, 4}, {2, 2}), "float64[2,2]"},
      {"pose", kPoseMember, Npy<int64_t>(std::vector<int64_t>(16, 1), {4, 4}), "int64[4,4]"},
      {"pose", kPoseMember, Npy(not_finite, {4, 4}), "finite"},
      {"pose", kPoseMember, Npy(last_row, {4, 4}), "last row"},
      {"pose", kPoseMember, Npy(mirrored, {4, 4}), "rotation"},
      {"intrinsic", kIntrinsicMember, "x", "no npy"},
      {"intrinsic", kIntrinsicMember, Npy<float>({1, 2, 3, 4, 5, 6}, {6}), "float32[6]"},
      {"intrinsic", kIntrinsicMember, Npy<double>({1, 2, 3}, {3}), "float64[3]"},
      {"intrinsic", kIntrinsicMember, Npy<double>({-1, 2, 3, 4, 5, 6}, {6}), "positive"},
      {"intrinsic", kIntrinsicMember, Npy<double>({1, kNan, 3, 4, 5, 6}, {6}), "positive"},
      {kImage, kImageMember, "", ""},
      {kImage, kImageMember, Jpeg(8, 16).substr(0, 200), ""},
      {kImage, kImageMember, Png(DType::kUInt8, 8, 16), ""},
      {kSkyMask, kSkyMaskMember, Png(DType::kBool, 8, 16).substr(0, 60), ""},
      {kSkyMask, kSkyMaskMember, Png(DType::kBool, 8, 15), "8 x 16 pixels"},
      {kSkyMask, kSkyMaskMember, Png(DType::kUInt16, 8, 16), "uint16[8,16]"},
      {kDepth, kDepthMember, Png(DType::kUInt16, 9, 16), "8 x 16 pixels"},
      {kDepth, kDepthMember, Png(DType::kUInt8, 8, 16), "uint8[8,16]"},
      {kDepth, kDepthMember, Jpeg(8, 16), ""},
      {"static_object_info", kStaticMember, "", "JSON"},
      {"static_object_info", kStaticMember, "{\"a\": ", "JSON"},
      {"static_object_info", kStaticMember, "[]", "JSON object"},
      {"static_object_info", kStaticMember, "{\"a\": {}}", "object_to_world"},
      {"dynamic_object_info", kDynamicMember, "{" + object + "," + object + "}", "twice"},
      {"dynamic_object_info", kDynamicMember, "{\"a\": 3}", "'a'"},
      {"dynamic_object_info", kDynamicMember, "{" + ObjectJson("a", "car", {3, 0, 0}, 0, {-4, 2, 1}) + "}",
       "object_lwh"},
      {kCloud, kCloudMember, "no zip archive", ""},
      {kCloud, kCloudMember, good_cloud.substr(0, good_cloud.size() / 2), ""},
      {kCloud, kCloudMember, flipped_cloud, ""},
      {kCloud, kCloudMember, Npz({{"points", xyz}, {"semantics", id}}), "no torch file"},
      {kCloud, kCloudMember, CloudBytes(id, id, pose), "int64[1]"},
      {kCloud, kCloudMember, CloudBytes(xyz, xyz, pose), "float32[1,3]"},
      {kCloud, kCloudMember, Cloud({1, 2, 3}, {18, 18}), "int64[2]"},
      {kCloud, kCloudMember, Cloud({1, 2, 3, std::nanf(""), 2, 3}, {18, 18}), "row 1 is not finite"},
      {kCloud, kCloudMember, Cloud({1, 2, 3}, {23}), "class 23"},
      {kCloud, kCloudMember, Cloud({1, 2, 3}, {-1}), "class -1"},
      {kCloud, kCloudMember, Cloud<float>({1, 2, 3}, {18}), "float32[1]"},
      {kCloud, kCloudMember, CloudBytes(xyz, id, xyz), "pc_to_world"},
      {kPoints, kPointsMember, "no zip archive", ""},
      {kPoints, kPointsMember, good_npz.substr(0, good_npz.size() - 1), ""},
      {kPoints, kPointsMember, Npz({{"a_xyz", ObjectPoints()}}), "'a_semantic'"},
      {kPoints, kPointsMember, Npz({{"b_xyz", ObjectPoints()}}), "'a_xyz'"},
      {kPoints, kPointsMember, dynamic(HostTensor::Of<double>({1, 2}, {1, 2}), one), "float64[1,2]"},
      {kPoints, kPointsMember, dynamic(ObjectPoints(), HostTensor::Of<int64_t>({1, 1}, {2})), "int64[2]"},
      {kPoints, kPointsMember, dynamic(ObjectPoints(), HostTensor::Of<double>({1}, {})), "float64[]"},
      {kPoints, kPointsMember, dynamic(ObjectPoints(), HostTensor::Of<int64_t>({99}, {})), "class 99"},
      {kPoints, kPointsMember, dynamic(HostTensor::Of<double>({1, 2, kNan}, {1, 3}), one), "not finite"},
      {kMap, kMapMember, "x", "no npy"},
      {kMap, kMapMember, Npy<double>(std::vector<double>(8, 0), {4, 2}), "float64[4,2]"},
      {kMap, kMapMember, Npy<int64_t>({1, 2, 3}, {1, 3}), "int64[1,3]"},
      {kMap, kMapMember, Npy<double>({1, 2, 3, 1, kNan, 3}, {2, 3}), "row 1 is not finite"},
  };
  WriteGoodClip(root);
  ASSERT_TRUE(ReadStatus(root).ok()) << ReadStatus(root);
  for (const BadMember& test : cases) {
    SCOPED_TRACE(std::string(test.attribute) + ": " + test.message);
    WriteGoodClip(root);
    Write(root, test.attribute, test.member, test.bytes);
    const absl::Status status = ReadStatus(root);
    EXPECT_NE(status.message().find(test.message), std::string::npos) << status;
    DataPlace place = PlaceInTar(root, test.attribute);
    const FoundMember found = ScanForMember(place.path, test.member);
    EXPECT_EQ(found.end - found.begin, test.bytes.size());
    place.member = test.member;
    place.begin = found.begin;
    place.end = found.end;
    ExpectPlace(status, place);
  }
}

// What is wrong with a clip as a whole is the cloud's: it decides where points are.
TEST(SceneReaderPlace, NoPointInsideTheBox) {
  const std::string root = NewTestFolder("no_point");
  WriteGoodClip(root);
  Write(root, kCloud, kCloudMember, Cloud({1000, 2, 3}, {18}));
  Write(root, "dynamic_object_info", kDynamicMember, "{}");
  DataPlace place = PlaceInTar(root, kCloud);
  const FoundMember found = ScanForMember(place.path, kCloudMember);
  place.member = kCloudMember;
  place.begin = found.begin;
  place.end = found.end;
  ExpectPlace(ReadStatus(root), place);
}

const std::vector<std::pair<const char*, const char*>>& AllMembers() {
  static const auto* all = new std::vector<std::pair<const char*, const char*>>{
      {"pose", kPoseMember},
      {"intrinsic", kIntrinsicMember},
      {kCloud, kCloudMember},
      {"static_object_info", kStaticMember},
      {"dynamic_object_info", kDynamicMember},
      {kPoints, kPointsMember},
      {kMap, kMapMember},
      {kImage, kImageMember},
      {kSkyMask, kSkyMaskMember},
      {kDepth, kDepthMember},
  };
  return *all;
}

TEST(SceneReaderPlace, DamagedTarsOfEveryAttribute) {
  const std::string root = NewTestFolder("bad_tars");
  // What is done to the tar, given where the member lies, and what the place then says.
  struct Damage {
    const char* name;
    std::function<void(const std::string& path, const FoundMember& member)> apply;
    std::function<void(const FoundMember& member, const std::string& name, DataPlace* place)> expect;
  };
  const auto header_at_fault = [](const FoundMember& member, const std::string&, DataPlace* place) {
    place->begin = member.header;
    place->end = member.begin;
  };
  const std::vector<Damage> damages = {
      {"missing", [](const auto& path, const auto&) { std::filesystem::remove(path); },
       [](const auto&, const auto&, DataPlace*) {}},
      {"a folder",
       [](const auto& path, const auto&) {
         std::filesystem::remove(path);
         std::filesystem::create_directory(path);
       },
       [](const auto&, const auto&, DataPlace*) {}},
      {"empty file", [](const auto& path, const auto&) { std::filesystem::resize_file(path, 0); },
       [](const auto&, const auto&, DataPlace*) {}},
      {"cut in the first header", [](const auto& path, const auto&) { std::filesystem::resize_file(path, 300); },
       [](const auto&, const auto&, DataPlace* place) { place->end = 300; }},
      {"cut in the member's header",
       [](const auto& path, const auto& member) { std::filesystem::resize_file(path, member.header + 100); },
       [](const auto& member, const auto&, DataPlace* place) {
         place->begin = member.header;
         place->end = member.header + 100;
       }},
      {"cut before the member's header",
       [](const auto& path, const auto& member) { std::filesystem::resize_file(path, member.header); },
       [](const auto& member, const auto&, DataPlace* place) { place->begin = place->end = member.header; }},
      {"cut in the member's data",
       [](const auto& path, const auto& member) { std::filesystem::resize_file(path, member.end - 1); },
       [](const auto& member, const auto& name, DataPlace* place) {
         place->member = name;
         place->begin = member.header;
         place->end = member.end - 1;
       }},
      {"magic", [](const auto& path, const auto& member) { OverwriteBytes(path, member.header + 257, "X"); },
       header_at_fault},
      {"checksum", [](const auto& path, const auto& member) { OverwriteBytes(path, member.header + 148, "000000"); },
       header_at_fault},
      {"name", [](const auto& path, const auto& member) { OverwriteBytes(path, member.header, "C"); }, header_at_fault},
      {"header of zeros",
       [](const auto& path, const auto& member) { OverwriteBytes(path, member.header, std::string(512, '\0')); },
       // Looks like the first half of the end marker.
       [](const auto& member, const auto&, DataPlace* place) {
         place->begin = member.header;
         place->end = member.header + 1024;
       }},
  };
  for (const auto& [attribute, member_name] : AllMembers()) {
    for (const Damage& damage : damages) {
      SCOPED_TRACE(std::string(attribute) + ": " + damage.name);
      const std::string path = ClipTarPath(root, attribute, kClip);
      std::filesystem::remove_all(path);
      WriteGoodClip(root);
      const FoundMember member = ScanForMember(path, member_name);
      damage.apply(path, member);
      DataPlace place = PlaceInTar(root, attribute);
      damage.expect(member, member_name, &place);
      ExpectPlace(ReadStatus(root), place);
      std::filesystem::remove_all(path);
    }
  }
}

TEST(SceneReaderPlace, MissingMembersOfEveryAttribute) {
  const std::string root = NewTestFolder("missing_members");
  for (const auto& [attribute, member] : AllMembers()) {
    SCOPED_TRACE(attribute);
    DataPlace place = PlaceInTar(root, attribute);
    place.member = member;
    WriteGoodClip(root);
    Write(root, attribute, "clip.another.bin", "x");
    ExpectPlace(ReadStatus(root), place);
    WriteTestTar(root, attribute, kClip, {});
    ExpectPlace(ReadStatus(root), place);
  }
}

// The place names members as the tar does, also where upper and lower case differ.
TEST(SceneReaderPlace, MembersInAnotherCase) {
  const std::string root = NewTestFolder("upper_case");
  WriteGoodClip(root);
  Write(root, kMap, "clip.Road_Edge.npy", "x");
  DataPlace place = PlaceInTar(root, kMap);
  const FoundMember found = ScanForMember(place.path, "clip.Road_Edge.npy");
  place.member = "clip.Road_Edge.npy";
  place.begin = found.begin;
  place.end = found.end;
  ExpectPlace(ReadStatus(root), place);
}

TEST(SceneReaderPlace, ATarThatChangesUnderARun) {
  const std::string root = NewTestFolder("changed");
  WriteGoodClip(root);
  const auto reader = SceneReader::Create(ConfigOf(root), 0);
  ASSERT_TRUE((*reader)->Read(kClip, kFrame, 0, false).ok());
  DataPlace place = PlaceInTar(root, kMap);
  const FoundMember found = ScanForMember(place.path, kMapMember);
  place.member = kMapMember;
  place.begin = found.begin;
  place.end = found.end;
  WriteTestTar(root, kMap, kClip, {{kMapMember, std::string(100000, 'x')}});
  const absl::Status status = (*reader)->Read(kClip, kFrame, 0, false).status();
  EXPECT_NE(status.message().find("changed or replaced"), std::string::npos) << status;
  ExpectPlace(status, place);
  std::filesystem::remove(place.path);
  ExpectPlace((*reader)->Read(kClip, kFrame, 0, false).status(), place);
}

}  // namespace
}  // namespace cubist
