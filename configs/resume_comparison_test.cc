#include "configs/resume_comparison.h"

#include <string>
#include <vector>

#include "configs/loader.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

Experiment Load(const std::vector<std::string>& flags = {}) {
  const auto loaded = LoadExperiment("configs/testdata/good.textproto", flags);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? loaded->proto() : Experiment();
}

TEST(ResumeComparisonTest, EqualConfigsDoNotDiffer) {
  EXPECT_TRUE(CompareForResume(Load(), Load()).empty());
  // A default that is written out is the same value.
  EXPECT_TRUE(CompareForResume(Load(), Load({"training.seed=0", "batch.accumulate=1"})).empty());
}

TEST(ResumeComparisonTest, RulesComeFromTheFieldOrFromWhatHoldsIt) {
  struct Case {
    std::string flag, path, old_value, new_value;
    OnResume rule;
  };
  const std::vector<Case> cases = {
      {"training.seed=7", "training.seed", "0", "7", FATAL},                   // nobody says anything
      {"training.max_steps=9", "training.max_steps", "(not set)", "9", FREE},  // its own
      {"training.deterministic=true", "training.deterministic", "false", "true", WARN},
      {"validation.max_samples=3", "validation.max_samples", "0", "3", WARN},  // its block's
      {"checkpoints.keep_last=5", "checkpoints.keep_last", "2", "5", FREE},
      {"name=other", "name", "\"good\"", "\"other\"", FREE},
      {"data.data_root=/x", "data.data_root", "\"data\"", "\"/x\"", WARN},
      {"learning_rate.initial=1e-3", "learning_rate.initial", "0.0001", "0.001", FATAL},
      {"data.input_frame_offsets=0,1", "data.input_frame_offsets", "[0]", "[0, 1]", FATAL},
      {"data.crop_jitter_range=1,2,3", "data.crop_jitter_range", "(not set)", "[1, 2, 3]", FATAL},
      {"training.precision=FP32", "training.precision", "BF16", "FP32", FATAL},
      {"data.synthesize={frames: 200}", "data.synthesize", "(not set)",
       "{ clips: 8 frames: 200 seed: 0 point_spacing: 0.1 image_width: 832 image_height: 480 }", FREE},
  };
  for (const Case& test : cases) {
    const auto differences = CompareForResume(Load(), Load({test.flag}));
    ASSERT_EQ(differences.size(), 1u) << test.flag;
    EXPECT_EQ(differences[0].path, test.path);
    EXPECT_EQ(differences[0].old_value, test.old_value) << test.flag;
    EXPECT_EQ(differences[0].new_value, test.new_value) << test.flag;
    EXPECT_EQ(differences[0].rule, test.rule) << test.flag;
    // And the other way round.
    const auto back = CompareForResume(Load({test.flag}), Load());
    ASSERT_EQ(back.size(), 1u) << test.flag;
    EXPECT_EQ(back[0].old_value, test.new_value) << test.flag;
  }
}

TEST(ResumeComparisonTest, AlternativesDifferByTheirFields) {
  const auto differences =
      CompareForResume(Load({"batch.accumulate=4"}), Load({"batch.global=8", "voxel_vae.kl_anneal={}"}));
  ASSERT_EQ(differences.size(), 4u);
  EXPECT_EQ(differences[0].path, "batch.accumulate");
  EXPECT_EQ(differences[0].new_value, "(not set)");
  EXPECT_EQ(differences[1].path, "batch.global");
  EXPECT_EQ(differences[1].old_value, "(not set)");
  EXPECT_EQ(differences[2].path, "voxel_vae.kl_weight");
  EXPECT_EQ(differences[3].path, "voxel_vae.kl_anneal");
}

TEST(ResumeComparisonTest, ThePresetCountsByTheFieldsThatItSets) {
  const auto differences = CompareForResume(Load(), Load({"compat=REFERENCE"}));
  std::vector<std::string> fatal;
  for (const FieldDifference& difference : differences) {
    if (difference.rule == FATAL) fatal.push_back(difference.path);
  }
  EXPECT_EQ(fatal, (std::vector<std::string>{"data.label_lookup_half_to_even", "gradient.clip_each_micro_batch",
                                             "gradient.batch_mean_over_voxels"}));
}

TEST(ResumeComparisonTest, DescribesOneRuleAtATime) {
  const auto differences = CompareForResume(Load(), Load({"training.seed=7", "optimizer.beta1=0.8", "batch.per_gpu=2",
                                                          "training.deterministic=true", "training.max_steps=3"}));
  EXPECT_EQ(DescribeDifferences(differences, FATAL),
            "optimizer.beta1: 0.9 when the run started, 0.8 now\n"
            "training.seed: 0 when the run started, 7 now\n");
  EXPECT_EQ(DescribeDifferences(differences, WARN), "training.deterministic: false when the run started, true now\n");
  EXPECT_EQ(DescribeDifferences({}, FATAL), "");
}

}  // namespace
}  // namespace cubist
