// For each attribute that samples are read from: a member that its readers take, and such that they refuse.
#include "data_process/scenes/attribute_contract.h"

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/png.h"
#include "data_process/formats/torch_zip.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

HostTensor Zeros(DType dtype, const std::vector<int64_t>& shape) {
  HostTensor tensor(dtype, shape);
  std::fill_n(reinterpret_cast<char*>(tensor.bytes()), tensor.byte_size(), '\0');
  return tensor;
}

HostTensor Matrix(double corner, double last = 1) {
  return HostTensor::Of<double>({corner, 0, 0, 5, 0, 1, 0, 6, 0, 0, 1, 7, 0, 0, 0, last}, {4, 4});
}

std::string Cloud(const std::vector<float>& xyz, const HostTensor& classes, const HostTensor& pose = Matrix(1)) {
  return CloudBytes(HostTensor::Of(xyz, {static_cast<int64_t>(xyz.size()) / 3, 3}), classes, pose);
}

std::string Intrinsic(const std::vector<double>& values) {
  return FormatNpy(HostTensor::Of(values, {static_cast<int64_t>(values.size())}));
}

std::string Points(const HostTensor& xyz, const HostTensor& semantic) {
  return *FormatNpz({{"a_xyz", xyz}, {"a_semantic", semantic}});
}

struct Case {
  std::string attribute, ending, good;
  std::vector<std::string> bad;
};

std::vector<Case> Cases() {
  const float nan = std::nanf("");
  const auto ids = [](std::vector<int64_t> values) {
    return HostTensor::Of(values, {static_cast<int64_t>(values.size())});
  };
  const auto png = [](DType dtype, const std::vector<int64_t>& shape) { return FormatPng(Zeros(dtype, shape)); };
  const HostTensor row = HostTensor::Of<double>({1, 2, 3}, {1, 3});
  const HostTensor bad_row = HostTensor::Of<double>({1, nan, 3}, {1, 3});
  const std::string grey16 = png(DType::kUInt16, {4, 5}), grey8 = png(DType::kUInt8, {4, 5});
  const std::string colours = png(DType::kUInt8, {4, 5, 3});
  const std::string object = "{" + ObjectJson("a", "car", {20, 3, 0}, 0, {4.5, 1.9, 1.6}) + "}";
  return {
      {"pose",
       "npy",
       FormatNpy(Matrix(1)),
       {FormatNpy(Matrix(2)), FormatNpy(Matrix(-1)), FormatNpy(Matrix(1, 0)), FormatNpy(Matrix(nan)),
        FormatNpy(Zeros(DType::kFloat64, {3, 4})), FormatNpy(Zeros(DType::kInt64, {4, 4}))}},
      {"intrinsic",
       "npy",
       Intrinsic({2000, 2000, 960, 640, 1920, 1280}),
       {Intrinsic({2000, 2000, 960, 640}), Intrinsic({0, 2000, 960, 640, 1920, 1280}),
        Intrinsic({2000, 2000, nan, 640, 1920, 1280}), FormatNpy(Zeros(DType::kFloat32, {6}))}},
      {"image_480p_front", "jpg", FormatJpeg(Zeros(DType::kUInt8, {8, 8, 3}), 90), {}},
      {"skymask_480p_front", "png", png(DType::kBool, {4, 5}), {grey16, colours}},
      {"voxel_depth_100_480p_front", "png", grey16, {grey8, colours}},
      {"lidar_depth_100_480p_front", "png", grey16, {grey8, png(DType::kBool, {4, 5})}},
      {"instance_buffer_480p_front", "png", grey16, {grey8}},
      {"semantic_buffer_480p_front",
       "png",
       FormatPng(HostTensor::Of<uint8_t>({0, 22}, {1, 2})),
       {grey16, colours, FormatPng(HostTensor::Of<uint8_t>({0, 23}, {1, 2}))}},
      {"pc_voxelsize_01",
       "pth",
       Cloud({1, 2, 3, 4, 5, 6}, ids({0, 22})),
       {Cloud({1, 2, 3, 4, 5, 6}, ids({0, 23})), Cloud({1, 2, 3, 4, 5, 6}, ids({-1, 3})),
        Cloud({1, 2, 3, 4, 5, 6}, ids({1})), Cloud({1, 2, nan, 4, 5, 6}, ids({0, 1})),
        Cloud({1, 2, 3}, HostTensor::Of<float>({1}, {1})), Cloud({1, 2, 3}, ids({1}), Matrix(1, 2)),
        *FormatTorchZip({{"points", row}, {"semantics", ids({1})}})}},
      {"3d_road_line_voxelsize_025",
       "npy",
       FormatNpy(row),
       {FormatNpy(bad_row), FormatNpy(Zeros(DType::kFloat64, {3, 2})), FormatNpy(Zeros(DType::kInt64, {1, 3}))}},
      {"static_object_info", "json", object, {"[]", "{\"a\": {}}", "{\"a\": 1}"}},
      {"dynamic_object_info", "json", "{}", {"[]", "{\"a\": {\"object_type\": \"car\"}}"}},
      {"dynamic_object_points_canonical",
       "npz",
       Points(row, ids({1})),
       {Points(bad_row, ids({1})), Points(row, ids({23})), Points(row, ids({1, 1})),
        Points(Zeros(DType::kFloat64, {2, 4}), ids({1})), *FormatNpz({{"a_xyz", row}})}},
  };
}

absl::Status Checked(const std::string& attribute, const std::string& name, const std::string& bytes) {
  const auto file = DecodeFile(name, bytes, "that.tar");
  if (!file.ok()) ADD_FAILURE() << attribute << ": " << file.status() << " is no matter of the contract";
  return file.ok() ? CheckContract(attribute, bytes, *file, "that.tar") : file.status();
}

TEST(CheckContract, TakesWhatReadersTakeAndRefusesTheRest) {
  int refused = 0;
  for (const Case& one : Cases()) {
    const std::string name = "clip.000000.member." + one.ending;
    EXPECT_TRUE(Checked(one.attribute, name, one.good).ok()) << Checked(one.attribute, name, one.good);
    for (size_t i = 0; i < one.bad.size(); ++i) {
      const absl::Status status = Checked(one.attribute, name, one.bad[i]);
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << one.attribute << " " << i;
      EXPECT_TRUE(absl::StartsWith(status.message(), "that.tar: ")) << status;
      // Attributes that no reader reads hold what they like.
      EXPECT_TRUE(Checked("of_my_own", name, one.bad[i]).ok());
      ++refused;
    }
    const absl::Status other = Checked(one.attribute, "clip.000000.member.txt", one.good);
    EXPECT_EQ(ExitCodeOf(other), ExitCode::kData) << one.attribute;
    EXPECT_TRUE(absl::StrContains(other.message(), "must end in ." + one.ending)) << other;
  }
  std::printf("13 kinds of attributes, %d members refused\n", refused);
  // An empty map layer has no rows of three.
  EXPECT_TRUE(Checked("3d_lane_voxelsize_025", "a.npy", FormatNpy(Zeros(DType::kFloat64, {0}))).ok());
  // The map as it was measured is JSON that no reader reads.
  EXPECT_TRUE(Checked("3d_lane", "a.json", "[]").ok());
}

}  // namespace
}  // namespace cubist
