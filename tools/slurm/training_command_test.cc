#include "tools/slurm/training_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/status.h"

namespace cubist {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr char kRecipe[] = "configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto";

std::string Error(const std::string& command) {
  const auto read = ReadTrainingCommand(command, {});
  EXPECT_EQ(ExitCodeOf(read.status()), ExitCode::kConfig) << command;
  return std::string(read.status().message());
}

TEST(ReadTrainingCommand, TheGuides) {
  const auto read =
      ReadTrainingCommand(std::string("train ") + kRecipe +
                              " --gpus 8 --eval_interval 1 --wname vae_64x64x64_height_down2_vs02_dense_residual",
                          6006);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->experiment.proto().training().seed(), 6006);
  EXPECT_EQ(read->experiment.proto().validation().interval_epochs(), 1);
  EXPECT_THAT(read->run_folder, EndsWith("/runs/vae_64x64x64_height_down2_vs02_dense_residual"));
  // What is a field of the config is in the config.
  EXPECT_THAT(read->arguments, ElementsAre("--wname", "vae_64x64x64_height_down2_vs02_dense_residual", "--gpus", "8"));
}

TEST(ReadTrainingCommand, TheCommandsOwnSeedWins) {
  const std::string command = std::string("bundle/train ") + kRecipe;
  for (const char* flag : {" --seed 7", " --seed=7", " --set training.seed=7"}) {
    const auto read = ReadTrainingCommand(command + flag, 6006);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->experiment.proto().training().seed(), 7) << flag;
  }
  EXPECT_EQ(ReadTrainingCommand(command, {})->experiment.proto().training().seed(), 0);
}

TEST(ReadTrainingCommand, FlagsThatAreNoFieldsReachTheSlots) {
  const auto read = ReadTrainingCommand(std::string("train ") + kRecipe +
                                            " --device cpu --init_from 'a b' --allow_fallback --run_dir '/x/y z' "
                                            "--profile_steps 2:3 --logger_type none",
                                        {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->run_folder, "/x/y z");
  EXPECT_THAT(read->arguments,
              ElementsAre("--device", "cpu", "--init_from", "a b", "--allow_fallback", "--profile_steps", "2:3"));
}

TEST(ReadTrainingCommand, FreshTakesTheNextFolderNow) {
  std::filesystem::create_directories("runs/again");
  const auto read = ReadTrainingCommand(std::string("train ") + kRecipe + " --wname again --fresh", {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->run_folder, EndsWith("/runs/again-2"));
  EXPECT_THAT(read->arguments, ElementsAre("--wname", "again"));
}

TEST(ReadTrainingCommand, WhatIsNoTraining) {
  EXPECT_THAT(Error(""), HasSubstr("empty"));
  EXPECT_THAT(Error("python infinicube/voxelgen/train.py x.yaml --gpus 8"),
              HasSubstr("is `train CONFIG.textproto` here"));
  EXPECT_THAT(Error("./bazelw run //tools:train -- x"), HasSubstr("slots need no Bazel"));
  EXPECT_THAT(Error("X=1 train a"), HasSubstr("--environment"));
  EXPECT_THAT(Error("merge_ckpt a"), HasSubstr("slots run `train`"));
  EXPECT_THAT(Error("train"), HasSubstr("no config file was named"));
  EXPECT_THAT(Error(std::string("train ") + kRecipe + " --gpsu 8"), HasSubstr("--gpsu"));
  EXPECT_THAT(Error(std::string("train ") + kRecipe + " --set training.sed=1"), HasSubstr("seed"));
  EXPECT_THAT(Error("train missing.textproto"), HasSubstr("missing.textproto"));
  for (const char* flag :
       {"--dry_run", "--preflight", "--print_config", "--explain batch", "--replay_step 3", "--log_dir x", "--help"}) {
    EXPECT_THAT(Error(std::string("train ") + kRecipe + " " + flag), HasSubstr(std::string(flag).substr(0, 6)));
  }
}

TEST(ReadSweep, OverridesAndNames) {
  const auto runs = ReadSweep({"learning_rate.initial=1e-4 training.seed=2", "training.seed=3", "voxel_vae.x='a b/c'"});
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 3u);
  EXPECT_THAT((*runs)[0].overrides, ElementsAre("learning_rate.initial=1e-4", "training.seed=2"));
  EXPECT_EQ((*runs)[0].suffix, "_initial=1e-4_seed=2");
  EXPECT_EQ((*runs)[2].suffix, "_x=a_b_c");
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
           {""}, {"training.seed"}, {"a=1;b=2"}, {"training.seed=1", "training.seed=1"}}) {
    EXPECT_EQ(ExitCodeOf(ReadSweep(bad).status()), ExitCode::kConfig) << bad[0];
  }
}

TEST(ReadTrainingCommand, ARunOfASweepHasItsOwnFolderAndConfig) {
  const auto runs = ReadSweep({"learning_rate.initial=0.25"});
  ASSERT_TRUE(runs.ok());
  const auto read = ReadTrainingCommand(std::string("train ") + kRecipe + " --wname a", 5, (*runs)[0]);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->run_folder, EndsWith("/runs/a_initial=0.25"));
  EXPECT_EQ(read->experiment.proto().learning_rate().initial(), 0.25);
  EXPECT_EQ(read->experiment.proto().training().seed(), 5);
  const auto in_folder = ReadTrainingCommand(std::string("train ") + kRecipe + " --run_dir /x/b", {}, (*runs)[0]);
  EXPECT_EQ(in_folder->run_folder, "/x/b_initial=0.25");
}

}  // namespace
}  // namespace cubist
