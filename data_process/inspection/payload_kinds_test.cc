#include "data_process/inspection/payload_kinds.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Descriptions(const PayloadKinds& kinds) {
  std::vector<std::string> descriptions;
  for (const PayloadKinds::Kind& kind : kinds.kinds()) descriptions.push_back(kind.description);
  return descriptions;
}

TEST(PayloadKinds, OnlyTheFirstExtentOfArraysMayDiffer) {
  PayloadKinds kinds;
  const auto add = [&](const char* clip, DType dtype, std::vector<int64_t> shape) {
    kinds.Add(clip, {"npy", {{"", dtype, std::move(shape)}}});
  };
  add("a", DType::kFloat64, {7, 3});
  add("b", DType::kFloat64, {0, 3});
  add("c", DType::kFloat32, {7, 3});
  add("d", DType::kFloat64, {7, 4});
  add("e", DType::kFloat64, {7});
  add("f", DType::kFloat64, {12, 3});
  EXPECT_THAT(Descriptions(kinds), ElementsAre("float64[0..12,3]", "float32[7,3]", "float64[7,4]", "float64[7]"));
  EXPECT_THAT(kinds.kinds()[0].clips, ElementsAre("a", "b", "f"));
}

TEST(PayloadKinds, PicturesAgreeInAllExtents) {
  for (const char* kind : {"png", "jpg", "video"}) {
    PayloadKinds kinds;
    kinds.Add("a", {kind, {{"", DType::kUInt8, {480, 832, 3}}}});
    kinds.Add("b", {kind, {{"", DType::kUInt8, {240, 832, 3}}}});
    kinds.Add("c", {kind, {{"", DType::kUInt8, {240, 832, 3}}}});
    EXPECT_THAT(Descriptions(kinds), ElementsAre("uint8[240,832,3]", "uint8[480,832,3]"));
  }
}

TEST(PayloadKinds, NamesWithoutTheIdsOfObjects) {
  PayloadKinds kinds;
  kinds.Add("a", {"npz",
                  {{"x_1_xyz", DType::kFloat64, {5, 3}},
                   {"x_1_semantic", DType::kInt64, {}},
                   {"y_xyz", DType::kFloat64, {9, 3}},
                   {"y_semantic", DType::kInt64, {}}}});
  kinds.Add("b", {"npz", {{"z_xyz", DType::kFloat64, {2, 3}}, {"z_semantic", DType::kInt64, {}}}});
  EXPECT_THAT(Descriptions(kinds), ElementsAre("*_semantic int64[], *_xyz float64[2..9,3]"));
  // The names of a torch file are its own.
  PayloadKinds torch;
  torch.Add("a", {"pth", {{"pc_to_world", DType::kFloat32, {4, 4}}, {"points", DType::kFloat32, {5, 3}}}});
  EXPECT_THAT(Descriptions(torch), ElementsAre("pc_to_world float32[4,4], points float32[5,3]"));
}

TEST(PayloadKinds, WithoutArrays) {
  PayloadKinds kinds;
  kinds.Add("a", {"json", {}});
  kinds.Add("b", {"npz", {}});
  kinds.Add("c", {"", {}});
  EXPECT_THAT(Descriptions(kinds), ElementsAre("JSON", "no array", "not decoded"));
}

}  // namespace
}  // namespace cubist
