#include "configs/explain.h"

#include <string>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() : loaded_(LoadExperiment("configs/testdata/good.textproto", {"training.seed=3"})) {}
  void SetUp() override { ASSERT_TRUE(loaded_.ok()) << loaded_.status().message(); }
  std::string Text(const std::string& path, bool with_experiment = true) const {
    const auto text = Explain(with_experiment ? &*loaded_ : nullptr, path);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? *text : "";
  }
  absl::StatusOr<ValidatedExperiment> loaded_;
};

TEST_F(ExplainTest, AField) {
  EXPECT_EQ(Text("voxel_vae.base_channels"),
            "voxel_vae.base_channels\n"
            "  Channels of the finest level; they double at each coarser one.\n"
            "\n"
            "  type        int32\n"
            "  takes       a whole number from 1 to 1024\n"
            "  default     64\n"
            "  value       16\n"
            "  set by      configs/testdata/good.textproto:11\n"
            "  reference   in the reference: network.unet.params.f_maps\n"
            "  on resume   FATAL: a run is not resumed with another value than it started with\n");
}

TEST_F(ExplainTest, AListAnEnumAndAnAlternative) {
  const std::string list = Text("data.crop_min");
  EXPECT_THAT(list, HasSubstr("type        list of double"));
  EXPECT_THAT(list, HasSubstr("unit        m"));
  EXPECT_THAT(list, HasSubstr("takes       a list [...] of 3 elements"));
  EXPECT_THAT(list, HasSubstr("value       [-6.4, -6.4, -3.2]"));
  const std::string precision = Text("training.precision");
  EXPECT_THAT(precision, HasSubstr("takes       one of FP32, FP64, BF16, TF32"));
  EXPECT_THAT(precision, HasSubstr("default     BF16"));
  EXPECT_THAT(precision, HasSubstr("set by      default"));
  const std::string global = Text("batch.global");
  EXPECT_THAT(global, HasSubstr("instead of  accumulate"));
  EXPECT_THAT(global, HasSubstr("value       (not set)"));
  EXPECT_THAT(global, HasSubstr("default     none"));
  EXPECT_THAT(Text("training.seed"), HasSubstr("set by      --set training.seed=3"));
  EXPECT_THAT(Text("validation.max_samples"), HasSubstr("on resume   WARN"));
  EXPECT_THAT(Text("training.max_steps"), HasSubstr("on resume   FREE"));
}

TEST_F(ExplainTest, WhatTheReferenceCallsIt) {
  EXPECT_THAT(Text("voxel_vae.kl_weight"), HasSubstr("  reference   in the reference: kl_weight\n"));
  EXPECT_THAT(Text("data.crop_min"),
              HasSubstr("in the reference: train_kwargs.grid_crop_bbox_min, grid_crop_bbox_min\n"));
  EXPECT_THAT(Text("training.seed"), Not(HasSubstr("in the reference")));
}

TEST_F(ExplainTest, ABlockIsATable) {
  const std::string text = Text("training");
  EXPECT_THAT(text, HasSubstr("Length, seed and arithmetic of the run."));
  EXPECT_THAT(text, HasSubstr("  field                      value\n"));
  EXPECT_THAT(text, HasSubstr("  seed                       3          Seed of initialisation"));
  EXPECT_THAT(text, HasSubstr("  max_steps                  (not set)  Optimizer steps"));
  EXPECT_THAT(text, HasSubstr("set by      --set training.seed=3, default"));
  EXPECT_THAT(Text("data.synthesize"), HasSubstr("set by      not set"));
  EXPECT_THAT(Text("data"), HasSubstr("  synthesize {}"));
}

TEST_F(ExplainTest, EverythingAndWithoutAnExperiment) {
  const std::string all = Text("");
  for (const char* block : {"data {}", "batch {}", "voxel_vae {}", "name", "compat"})
    EXPECT_THAT(all, HasSubstr(block));
  const std::string plain = Text("batch.per_gpu", /*with_experiment=*/false);
  EXPECT_THAT(plain, HasSubstr("default     1\n"));
  EXPECT_THAT(plain, Not(HasSubstr("set by")));
  EXPECT_THAT(Text("batch", false), HasSubstr("per_gpu     1"));
}

TEST_F(ExplainTest, AnUnknownPath) {
  const auto text = Explain(nullptr, "voxel_vae.base_chanels");
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(ExitCodeOf(text.status()), ExitCode::kConfig);
  const std::string message(text.status().message());
  EXPECT_THAT(message, HasSubstr("--explain voxel_vae.base_chanels: voxel_vae has no field \"base_chanels\""));
  EXPECT_THAT(message, HasSubstr("did you mean base_channels?"));
  EXPECT_FALSE(Explain(nullptr, "data.crop_min.x").ok());
  EXPECT_FALSE(Explain(nullptr, "data.").ok());
}

}  // namespace
}  // namespace cubist
