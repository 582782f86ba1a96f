#include "data_process/scenes/payload.h"

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

TEST(DecodePayload, KnowsKindsByTheirEnding) {
  for (const Case& one : Cases()) {
    const auto payload = DecodePayload(one.name, one.bytes, "file");
    ASSERT_TRUE(payload.ok()) << one.name << payload.status();
    EXPECT_EQ(Described(*payload), one.expected);
  }
  for (const char* name : {"a.mp4", "npy", "", "a.", "a.npy.bak"}) {
    const auto payload = DecodePayload(name, "anything", "file");
    ASSERT_TRUE(payload.ok()) << payload.status();
    EXPECT_EQ(Described(*payload), ":");
  }
}

TEST(DecodePayload, WhatIsCutOrOfAnotherKindIsAnError) {
  const std::vector<Case> cases = Cases();
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string& bytes = cases[i].bytes;
    const std::string& other = cases[(i + 1) % 6].bytes;
    for (const std::string& bad : {bytes.substr(0, bytes.size() / 2), std::string(), other}) {
      const auto payload = DecodePayload(cases[i].name, bad, "that.tar");
      EXPECT_EQ(ExitCodeOf(payload.status()), ExitCode::kData) << cases[i].name;
      EXPECT_NE(payload.status().message().find("that.tar"), std::string::npos) << payload.status();
    }
  }
}

}  // namespace
}  // namespace cubist
