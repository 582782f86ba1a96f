#include "tools/interchange/weights_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;

const std::vector<WantedTensor>& Wanted() {
  static const auto* wanted = new std::vector<WantedTensor>{{"a.weight", {2, 2}}, {"a.bias", {2}}};
  return *wanted;
}

// A torch zip with these names, each holding two numbers.
std::unique_ptr<AnyCheckpoint> TorchFileOf(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, HostTensor>> tensors;
  for (const std::string& name : names) tensors.emplace_back(name, HostTensor::Of<float>({1, 2}, {2}));
  const std::string path = std::string(::testing::TempDir()) + "/weights.ckpt";
  EXPECT_TRUE(WriteFileAtomically(SystemFileOps(), path, *FormatTorchZip(tensors)).ok());
  auto source = AnyCheckpoint::Open(path);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

TEST(MatchWeightsTest, TorchFilesMatchByName) {
  const auto source = TorchFileOf({"a.weight", "a.bias"});
  const auto match = MatchWeights(*source, Wanted(), {"vae."});
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ(source->tensors()[match->at("a.bias")].name, "a.bias");
  EXPECT_EQ(source->Read(match->at("a.bias"))->data<float>()[1], 2);
}

TEST(MatchWeightsTest, AModelInsideOfAnotherOnesCheckpoint) {
  const auto source = TorchFileOf({"vae.a.weight", "vae.a.bias", "unet.weight"});
  const auto match = MatchWeights(*source, Wanted(), {"vae."});
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ(source->tensors()[match->at("a.weight")].name, "vae.a.weight");
}

TEST(MatchWeightsTest, WhatIsMissingAndWhatIsLeftOverIsNamed) {
  const auto source = TorchFileOf({"a.weight", "b.weight"});
  const absl::Status status = MatchWeights(*source, Wanted(), {"vae."}).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing: a.bias"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("left over: b.weight"));
}

TEST(MatchWeightsTest, SafetensorsFiles) {
  const std::string path = std::string(::testing::TempDir()) + "/weights.safetensors";
  const float values[4] = {1, 2, 3, 4};
  ASSERT_TRUE(WriteSafetensors(SystemFileOps(), path, {{"a.weight", DType::kFloat32, {2, 2}, values}}).ok());
  const auto source = AnyCheckpoint::Open(path);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto match = MatchWeights(**source, {{"a.weight", {2, 2}}}, {});
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ((*source)->Read(match->at("a.weight"))->Describe(), "float32[2,2]");
}

TEST(MatchWeightsTest, WhatIsNotThereIsNamed) {
  const absl::Status status = AnyCheckpoint::Open("/nowhere/model.ckpt").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/model.ckpt"));
}

}  // namespace
}  // namespace cubist
