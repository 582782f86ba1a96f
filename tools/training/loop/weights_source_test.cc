#include "tools/training/loop/weights_source.h"

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
std::unique_ptr<WeightsSource> TorchFileOf(const std::vector<std::string>& names) {
  std::vector<std::pair<std::string, HostTensor>> tensors;
  for (const std::string& name : names) tensors.emplace_back(name, HostTensor::Of<float>({1, 2}, {2}));
  const std::string path = std::string(::testing::TempDir()) + "/weights.ckpt";
  EXPECT_TRUE(WriteFileAtomically(SystemFileOps(), path, *FormatTorchZip(tensors)).ok());
  auto source = WeightsSource::Open(path);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

TEST(WeightsSourceTest, TorchFilesMatchByName) {
  const auto source = TorchFileOf({"a.weight", "a.bias"});
  const auto match = MatchWeights(*source, Wanted(), {"vae."});
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ(match->at("a.bias"), "a.bias");
  EXPECT_EQ(source->Read("a.bias")->data<float>()[1], 2);
}

TEST(WeightsSourceTest, AModelInsideOfAnotherOnesCheckpoint) {
  const auto source = TorchFileOf({"vae.a.weight", "vae.a.bias", "unet.weight"});
  const auto match = MatchWeights(*source, Wanted(), {"vae."});
  ASSERT_TRUE(match.ok()) << match.status();
  EXPECT_EQ(match->at("a.weight"), "vae.a.weight");
}

TEST(WeightsSourceTest, WhatIsMissingAndWhatIsLeftOverIsNamed) {
  const auto source = TorchFileOf({"a.weight", "b.weight"});
  const absl::Status status = MatchWeights(*source, Wanted(), {"vae."}).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing: a.bias"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("left over: b.weight"));
}

TEST(WeightsSourceTest, SafetensorsFiles) {
  const std::string path = std::string(::testing::TempDir()) + "/weights.safetensors";
  const float values[4] = {1, 2, 3, 4};
  ASSERT_TRUE(WriteSafetensors(SystemFileOps(), path, {{"a.weight", DType::kFloat32, {2, 2}, values}}).ok());
  const auto source = WeightsSource::Open(path);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ((*source)->Names(), std::vector<std::string>{"a.weight"});
  EXPECT_EQ((*source)->Read("a.weight")->Describe(), "float32[2,2]");
}

TEST(WeightsSourceTest, WhatIsNotThereIsNamed) {
  const absl::Status status = WeightsSource::Open("/nowhere/model.ckpt").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/model.ckpt"));
}

}  // namespace
}  // namespace cubist
