// Holds the import of five configs with the reference's keys against goldens and against the recipes of the same name,
// and what is said about keys that cannot be carried over.
//
// The reference's own files, which are not here, are compared with the recipes where CUBIST_REFERENCE_CONFIGS names
// their folder.
#include "tools/reference_config/import_report.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/loader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kConfigs[] = "tools/reference_config/testdata/configs/";

const std::vector<std::string>& Names() {
  static const auto* const names = new std::vector<std::string>{
      "vae_64x64x64_height_down2_vs02_dense_residual", "diffusion_64x64x64_dense_vs02_map_cond",
      "gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
      "gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
      "gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator"};
  return *names;
}

// Leaves what the test got in its undeclared outputs, for taking over after a deliberate change.
void KeepOutput(const std::string& name, const std::string& text) {
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (folder != nullptr) std::ofstream(absl::StrCat(folder, "/", name)) << text;
}

// Field by field, but for the logger, which the reference's command line chooses.
void ExpectTheRecipe(const std::string& text, const std::string& name) {
  const auto imported = LoadExperimentText(text, "imported.textproto", {"logging.logger_type=WANDB"});
  const auto recipe = LoadExperiment("configs/recipes/" + name + ".textproto");
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  ASSERT_TRUE(recipe.ok()) << recipe.status().message();
  EXPECT_EQ(imported->CanonicalText(), recipe->CanonicalText());
}

class RecipeImportTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RecipeImportTest, IsTheGoldenAndTheRecipe) {
  const auto report = ImportReferenceConfig(kConfigs + GetParam() + ".yaml");
  ASSERT_TRUE(report.ok()) << report.status();
  KeepOutput(GetParam() + ".textproto", report->text);
  const std::string remarks = report->remarks + report->without_effect_lines;
  KeepOutput(GetParam() + ".remarks", remarks);
  EXPECT_EQ(report->with_effect, 0) << report->remarks;
  EXPECT_EQ(report->without_effect,
            std::count(report->without_effect_lines.begin(), report->without_effect_lines.end(), '\n'));
  ExpectTheRecipe(report->text, GetParam());
  for (const auto& [ending, text] : {std::pair(".textproto", report->text), std::pair(".remarks", remarks)}) {
    const auto golden = ReadWholeFile(absl::StrCat(kConfigs, GetParam(), ending));
    ASSERT_TRUE(golden.ok()) << golden.status();
    EXPECT_EQ(text, *golden) << ending;
  }
}

TEST_P(RecipeImportTest, TheReferencesOwnFileIsTheRecipe) {
  const char* folder = std::getenv("CUBIST_REFERENCE_CONFIGS");
  if (folder == nullptr) GTEST_SKIP() << "CUBIST_REFERENCE_CONFIGS does not name the reference's configs";
  const auto report = ImportReferenceConfig(absl::StrCat(folder, "/", GetParam(), ".yaml"));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->with_effect, 0) << report->remarks;
  ExpectTheRecipe(report->text, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Configs, RecipeImportTest, ::testing::ValuesIn(Names()));

absl::StatusOr<ImportReport> ImportWith(const std::string& name, const std::vector<std::string>& assignments) {
  CompositionOptions options;
  options.assignments = assignments;
  return ImportReferenceConfig(kConfigs + name + ".yaml", options);
}

TEST(ImportTest, ConversionsOfOtherValuesThanTheRecipes) {
  const std::string &vae = Names()[0], &diffusion = Names()[1], &voxel = Names()[2], &pixel = Names()[3];
  struct Case {
    std::string name;
    std::vector<std::string> assignments;
    std::string line;  // of the text
  };
  const std::vector<Case> cases = {
      {vae, {"enable_anneal=true", "kl_weight_max=0.1"}, "  kl_anneal {\n    weight_max: 0.1\n  }"},
      {vae, {"kl_weight=1e-7"}, "  kl_weight: 1e-07"},
      {vae, {"batch_size=2", "accumulate_grad_batches=3"}, "  samples_per_step: 6"},
      {vae, {"_wds_root_url=/data/waymo//"}, "  data_root: \"/data/waymo\""},
      {vae, {"train_kwargs.wds_scene_list_file=lists/mine.json"}, "  train_clip_list: \"lists/mine.json\""},
      {vae,
       {"network.unet.params.pooling_level=[]", "remain_h=false", "grid_crop_bbox_max=[25.6, 25.6, 44.8]"},
       "  pool_height_levels: [1, 2]"},
      {vae,
       {"_fvdb_grid_type=vs04", "finest_voxel_size_goal=vs04", "voxel_size=0.4",
        "network.unet.params.neck_bound=[16, 16, 16]"},
       "  voxel_size: 0.4"},
      {diffusion, {"ema=false"}, "learning_rate {\n  initial: 5e-05\n}\nvoxel_diffusion {"},
      {diffusion, {"use_classifier_free=false"}, "    classifier_free_probability: 0"},
      {diffusion, {"classifier_free_prob=0.2"}, "    classifier_free_probability: 0.2"},
      {diffusion, {"use_pos_embed=false"}, "    positions: NONE"},
      {diffusion, {"use_pos_embed=false", "use_pos_embed_high=true"}, "    positions: SINUSOIDAL"},
      {diffusion, {"use_ddim=false"}, "    kind: DDPM"},
      {diffusion, {"prediction_type=epsilon"}, "  prediction_type: EPSILON"},
      {voxel, {"use_ssim_loss=false"}, "    ssim_fraction: 0"},
      {voxel, {"depth_weight=3"}, "    depth_weight: 3"},  // supervision.depth_weight follows it
      {voxel, {"supervision.depth_supervision_format=inverse_metric_depth"}, "    depth_format: INVERSE_L1"},
      {pixel,
       {"encoder.dav2_params.depth_anything_model=depth-anything/Depth-Anything-V2-Small-hf"},
       "    size: SMALL"},
      {pixel,
       {"_sup_slect_ids=[0, 1]",
        "_attr_subfolders=[pose, pc_voxelsize_01, intrinsic, image_480p_front, "
        "skymask_480p_front, image_480p_front_left, skymask_480p_front_left]"},
       "  supervision_views: [FRONT, FRONT_LEFT]"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.assignments[0]);
    const auto report = ImportWith(one.name, one.assignments);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->text, HasSubstr(one.line));
    EXPECT_EQ(report->with_effect, 0) << report->remarks;
  }
}

TEST(ImportTest, WhatHasAnEffectAndCannotBeCarriedOverIsSaid) {
  const std::string &vae = Names()[0], &diffusion = Names()[1], &voxel = Names()[2], &pixel = Names()[3];
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases = {
      {vae, {"optimizer=SGD", "optimizer = \"SGD\" (--set optimizer=SGD): Cubist has no such feature"}},
      {vae, {"my_own_key=[1, {a: b}]", "my_own_key = [1, {\"a\": \"b\"}]"}},
      {vae, {"my.own.key=1", "my.own.key = 1 (--set my.own.key=1): no key that Cubist knows\n"}},
      {vae, {"kl_weigth=1", "no key that Cubist knows; did you mean kl_weight?\n"}},
      {vae, {"enable_aneal=true", "did you mean enable_anneal?\n"}},
      {vae, {"use_input_normals=true", "did you mean use_input_normal?\n"}},
      {vae, {"suprevision.semantic_weight=1", "did you mean supervision.semantic_weight?\n"}},
      {vae, {"channel_mult=[1]", "no key that Cubist knows\n"}},  // of the diffusion model only
      {vae, {"use_input_normal=true", "the scenes have no normals; here it is always false"}},
      {vae, {"remain_h=false", "keeps the height, or none; here it is true"}},
      {vae, {"val_kwargs.map_types=[road_line]", "validation reads what training does"}},
      {vae, {"_fvdb_grid_type=fine", "_fvdb_grid_type = \"fine\""}},
      {diffusion, {"beta_schedule=squaredcos_cap_v2", "network.scheduler.beta_schedule = \"squaredcos_cap_v2\""}},
      {diffusion, {"use_image_lss_cond=true", "nothing is conditioned on it in any recipe; here it is always false"}},
      {diffusion, {"use_pos_embed_high=true", "one kind of positions at a time"}},
      {voxel, {"skybox_net=conv-up4", "there is one network; here it is always \"res-up4x-decode-3\""}},
      {voxel, {"encoder.conv_params.n_stride_list=[1, 2, 1]", "here it is always every 1"}},
      {voxel, {"encoder.conv_params.n_residual_list=[true, true, true]", "here it is always first false, then true"}},
      {voxel, {"encoder.encoder_modules=[conv, dino]", "here it is [\"conv\"]"}},
      {voxel, {"skybox_target=cubemap", "skybox_target = \"cubemap\""}},
      {pixel, {"backbone.params.backbone_2d_params.unet2d_params.channels=40", "here it is 36"}},
      {pixel, {"sup_depth_type=lidar_depth", "here it is always \"voxel_depth\""}},
  };
  for (const auto& [name, assignment_and_line] : cases) {
    const auto& [assignment, line] = assignment_and_line;
    SCOPED_TRACE(assignment);
    const auto report = ImportWith(name, {assignment});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GE(report->with_effect, 1);
    EXPECT_THAT(report->remarks, HasSubstr(line));
    EXPECT_THAT(report->remarks, StartsWith("not carried over, though it changes what is computed:\n"));
  }
}

TEST(ImportTest, MistakesAreNamedWithTheirPlace) {
  const std::string &vae = Names()[0], &diffusion = Names()[1];
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases = {
      {vae, {"model=resnet", "--set model=resnet: model takes autoencoder, diffusion or gsm, not \"resnet\""}},
      {vae, {"batch_size=two", "batch_size takes a whole number, not \"two\""}},
      {vae, {"batch_size=1.5", "batch_size takes a whole number, not 1.5"}},
      {vae, {"batch_size=3000000000", "batch_size takes a whole number of 32 bits, not 3000000000"}},
      {vae, {"grad_clip=true", "grad_clip takes a number, not true"}},
      {vae, {"grid_crop_augment=1", "takes true or false, not 1"}},
      {vae, {"grid_crop_bbox_min=3", "takes a list, not 3"}},
      {vae, {"_attr_subfolders=[pose, 3]", "takes text, not 3"}},
      {vae, {"learning_rate.init=2", "makes no valid config"}},
      {vae, {"learning_rate.init=2", "\n  learning_rate.initial: learning_rate.init (--set learning_rate.init=2)\n"}},
      {vae, {"network.unet.params.neck_bound=[32, 32, 16]", "but the dense neck covers 64"}},
      {diffusion, {"ema=maybe", "ema takes true or false, not \"maybe\""}},
      {diffusion, {"network.diffuser.num_heads=7", "which voxel_diffusion.unet.attention_heads, 7, does not divide"}},
  };
  for (const auto& [name, assignment_and_message] : cases) {
    const auto& [assignment, message] = assignment_and_message;
    SCOPED_TRACE(assignment);
    const auto report = ImportWith(name, {assignment});
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kConfig);
    EXPECT_THAT(std::string(report.status().message()), HasSubstr(message));
  }
}

// A config whose mistake is in a file that it includes.
class IncludedMistakeTest : public ::testing::Test {
 protected:
  // What the import of `file` says, with folders left out. main.yaml includes a recipe and then included.yaml.
  static std::string Error(const std::string& file, const std::string& included, const std::string& main = "") {
    const std::string folder = absl::StrCat(std::getenv("TEST_TMPDIR"), "/mistakes/");
    const std::string recipe = absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"), "/",
                                            kConfigs, Names()[0], ".yaml");
    const std::map<std::string, std::string> files = {
        {"main.yaml", absl::StrCat("include_configs: [", recipe, ", included.yaml]\n", main)},
        {"included.yaml", included},
        {"default/param.yaml", "name: none\n"}};
    EXPECT_TRUE(MakeDirectories(SystemFileOps(), folder + "default").ok());
    for (const auto& [name, text] : files) EXPECT_TRUE(WriteFileAtomically(SystemFileOps(), folder + name, text).ok());
    const auto report = ImportReferenceConfig(folder + file);
    EXPECT_FALSE(report.ok());
    return absl::StrReplaceAll(report.status().message(), {{folder, ""}});
  }
};

TEST_F(IncludedMistakeTest, IsNamedWhereTheValueWasSet) {
  EXPECT_THAT(Error("main.yaml", "\nbatch_size: two\n"),
              StartsWith("included.yaml:2:13: batch_size takes a whole number"));
  // The key that is wrong has its value from elsewhere.
  EXPECT_THAT(Error("main.yaml", "grid_crop_augment: 1\n"),
              StartsWith("included.yaml:1:20: train_kwargs.grid_crop_augment takes true or false, not 1"));
  EXPECT_THAT(Error("main.yaml", "grid_crop_augment: 1\n", "grid_crop_augment: 2\n"),
              StartsWith("main.yaml:2:20: train_kwargs.grid_crop_augment takes true or false, not 2"));
}

TEST_F(IncludedMistakeTest, OfTheWholeIsNamedWithAllThatIsInQuestion) {
  const std::string error =
      Error("main.yaml", "network: {unet: {params: {neck_bound: [32, 32, 16]}}}\n", "kl_weigth: 1\n");
  EXPECT_THAT(error, StartsWith("main.yaml makes no valid config. As main.textproto it has a mistake in the config"));
  EXPECT_THAT(error, HasSubstr("  voxel_vae.neck_half_extent: network.unet.params.neck_bound (included.yaml:1:39)\n"));
  EXPECT_THAT(error, HasSubstr(absl::StrCat(Names()[0], ".yaml:54:")));  // grid_crop_bbox_max, asked for elsewhere
  EXPECT_THAT(error, ::testing::Not(HasSubstr("batch.per_gpu")));
  EXPECT_THAT(error,
              HasSubstr("  kl_weigth = 1 (main.yaml:2:12): no key that Cubist knows; did you mean kl_weight?\n"));
}

TEST_F(IncludedMistakeTest, OfAKeyThatNobodyGivesIsTheMainFiles) {
  EXPECT_EQ(Error("included.yaml", "modle: autoencoder\n"),
            "included.yaml: there is no key \"model\" (autoencoder, diffusion or gsm), neither here nor in what is "
            "included; should \"modle\" (included.yaml:1:8) be it?");
  EXPECT_EQ(Error("included.yaml", "\"a.b\": 1\n"),
            "included.yaml: there is no key \"model\" (autoencoder, diffusion or gsm), neither here nor in what is "
            "included");
}

}  // namespace
}  // namespace cubist
