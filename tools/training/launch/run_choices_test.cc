#include "tools/training/launch/run_choices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "configs/loader.h"

namespace cubist {
namespace {

using testing::HasSubstr;

absl::StatusOr<RunChoices> Choose(const std::string& device, const std::string& precision, const RunPlace& place) {
  const std::string config = std::string(std::getenv("TEST_SRCDIR")) + "/cubist/configs/quickstart/vae.textproto";
  const auto experiment = LoadExperiment(config, {"training.precision=" + precision});
  EXPECT_TRUE(experiment.ok()) << experiment.status();
  TrainFlags flags;
  flags.device = device;
  return ChooseRun(flags, *experiment, place);
}

constexpr RunPlace kGpu = {.has_gpu = true}, kNoGpu = {.has_gpu = false};

TEST(ChooseRunTest, AutoIsTheGpuWhereThereIsOne) {
  EXPECT_EQ(Choose("auto", "BF16", kGpu)->device, "cuda");
  EXPECT_EQ(Choose("auto", "FP32", kGpu)->device, "cuda");
  EXPECT_EQ(Choose("auto", "FP32", kNoGpu)->device, "cpu");
  EXPECT_EQ(Choose("auto", "FP64", kGpu)->device, "cpu") << "is for CPUs alone";
  EXPECT_EQ(Choose("cpu", "FP32", kGpu)->device, "cpu");
}

TEST(ChooseRunTest, WhatTheMachineCannotDoIsNamed) {
  EXPECT_THAT(Choose("cuda", "FP32", kNoGpu).status().message(),
              HasSubstr("--device cuda: this machine has no NVIDIA"));
  EXPECT_THAT(Choose("auto", "BF16", kNoGpu).status().message(), HasSubstr("and this machine has none"));
  EXPECT_THAT(Choose("cpu", "TF32", kGpu).status().message(), HasSubstr("training.precision is TF32"));
}

TEST(ChooseRunTest, SeveralRanksAreForTheCpu) {
  RunPlace place = kGpu;
  place.world_size = 8;
  EXPECT_THAT(Choose("auto", "BF16", place).status().message(), HasSubstr("one GPU, not on 8"));
  EXPECT_EQ(Choose("cpu", "FP32", place)->device, "cpu");
}

}  // namespace
}  // namespace cubist
