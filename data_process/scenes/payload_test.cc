#include "data_process/scenes/payload.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/host_tensor.h"
#include "base/status.h"
#include "data_process/formats/jpeg.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/ply.h"
#include "data_process/formats/png.h"
#include "data_process/formats/torch_zip.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

// "npy: float64[2,3]", "npz: a float32[0], b int64[1]".
std::string Described(const Payload& payload) {
  std::string text = payload.kind + ":";
  for (const PayloadArray& array : payload.arrays) {
    text += " " + array.name + " " + HostTensor(array.dtype, array.shape).Describe();
  }
  return text;
}

struct Case {
  std::string name, bytes, expected;
};

std::vector<Case> Cases() {
  const HostTensor doubles(DType::kFloat64, {2, 3}), ids = HostTensor::Of<int64_t>({7}, {1});
  HostTensor grey(DType::kUInt16, {5, 4}), colours(DType::kUInt8, {5, 4, 3}), xyz(DType::kFloat32, {3, 3});
  std::fill_n(grey.data<uint16_t>(), grey.size(), uint16_t{700});
  std::fill_n(colours.data<uint8_t>(), colours.size(), uint8_t{70});
  std::fill_n(xyz.data<float>(), xyz.size(), 1.0F);
  const std::string jpeg = FormatJpeg(colours, 90);
  return {
      {"clip.000001.pose.front.npy", FormatNpy(doubles), "npy:  float64[2,3]"},
      {"a.NPZ", *FormatNpz({{"b", ids}, {"a", doubles}}), "npz: a float64[2,3] b int64[1]"},
      {"a.pcd.vs01.pth", *FormatTorchZip({{"points", xyz}, {"ids", ids}}), "pth: ids int64[1] points float32[3,3]"},
      {"car.ply", FormatPly({xyz, HostTensor::Of<int32_t>({0, 1, 2}, {1, 3})}),
       "ply: faces int32[1,3] vertices float32[3,3]"},
      {"a.json", "{\"a\": [1]}", "json:"},
      {"a.front.png", FormatPng(grey), "png:  uint16[5,4]"},
      {"a.front.jpg", jpeg, "jpg:  uint8[5,4,3]"},
      {"a.JPEG", jpeg, "jpg:  uint8[5,4,3]"},
  };
}

TEST(DecodeFile, KnowsKindsByTheirEnding) {
  for (const Case& one : Cases()) {
    const auto file = DecodeFile(one.name, one.bytes, "file");
    ASSERT_TRUE(file.ok()) << one.name << file.status();
    EXPECT_EQ(Described(file->Describe()), one.expected);
  }
  for (const char* name : {"a.mp4", "npy", "", "a.", "a.npy.bak"}) {
    const auto file = DecodeFile(name, "anything", "file");
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(Described(file->Describe()), ":");
  }
}

TEST(DecodeFile, WhatIsCutOrOfAnotherKindIsAnError) {
  const std::vector<Case> cases = Cases();
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string& bytes = cases[i].bytes;
    const std::string& other = cases[(i + 1) % 6].bytes;
    for (const std::string& bad : {bytes.substr(0, bytes.size() / 2), std::string(), other}) {
      const auto file = DecodeFile(cases[i].name, bad, "that.tar");
      EXPECT_EQ(ExitCodeOf(file.status()), ExitCode::kData) << cases[i].name;
      EXPECT_NE(file.status().message().find("that.tar"), std::string::npos) << file.status();
    }
  }
}

TEST(DecodeFile, WhatIsLargerThanTheLimitsIsAnError) {
  // Of each case what its arrays take: bytes, or pixels of pictures.
  const std::map<std::string, int64_t> sizes = {
      {"clip.000001.pose.front.npy", 48}, {"a.front.png", 20}, {"a.front.jpg", 20}, {"a.JPEG", 20}};
  int refused = 0;
  for (const Case& one : Cases()) {
    ReadLimits limits;
    limits.set_max_array_bytes(1);
    limits.set_max_image_pixels(1);
    const auto none = DecodeFile(one.name, one.bytes, "file", limits);
    const bool has_no_array = one.name == "a.json" || one.name == "car.ply";
    EXPECT_EQ(none.ok(), has_no_array) << one.name;
    if (!none.ok()) {
      EXPECT_EQ(ExitCodeOf(none.status()), ExitCode::kData) << none.status();
    }
    refused += none.ok() ? 0 : 1;
    const auto size = sizes.find(one.name);
    if (size == sizes.end()) continue;
    for (const int64_t lack : {0, 1}) {
      limits.set_max_array_bytes(size->second - lack);
      limits.set_max_image_pixels(size->second - lack);
      EXPECT_EQ(DecodeFile(one.name, one.bytes, "file", limits).ok(), lack == 0) << one.name;
    }
  }
  EXPECT_EQ(refused, 6);
}

}  // namespace
}  // namespace cubist
