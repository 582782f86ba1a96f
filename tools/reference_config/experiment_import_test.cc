// Holds what is made of keys that are not there or null against the reference's code (its values stand here as they
// stand there), and sweeps all keys of five configs: none that is removed or null changes anything silently.
#include "tools/reference_config/experiment_import.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "configs/canonical_text.h"
#include "configs/reference_keys.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/reference_config/composition.h"

namespace cubist {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kVae[] = "vae_64x64x64_height_down2_vs02_dense_residual";
constexpr char kDiffusion[] = "diffusion_64x64x64_dense_vs02_map_cond";
constexpr char kVoxel[] = "gsm_vs02_res512_view1_voxel_branch_only_sky_panorama";
constexpr char kPixel[] = "gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator";
constexpr char kDual[] = "gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator";

YamlValue Compose(const std::string& name, const std::vector<std::string>& assignments = {}) {
  CompositionOptions options;
  options.assignments = assignments;
  const auto composed =
      ComposeReferenceConfig(absl::StrCat("tools/reference_config/testdata/configs/", name, ".yaml"), options);
  EXPECT_TRUE(composed.ok()) << composed.status();
  return composed.ok() ? composed->root : YamlValue();
}

// The map that has `key` ("a.b"), and its last part.
std::pair<YamlValue*, std::string> Owner(const std::string& key, YamlValue* config) {
  const std::vector<std::string> parts = absl::StrSplit(key, '.');
  for (size_t i = 0; i + 1 < parts.size() && config != nullptr; ++i) config = config->Find(parts[i]);
  return {config, parts.back()};
}

YamlValue Without(YamlValue config, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto [map, name] = Owner(key, &config);
    EXPECT_TRUE(map != nullptr && map->Find(name) != nullptr) << key;
    if (map != nullptr) map->Remove(name);
  }
  return config;
}

ImportedExperiment Import(const YamlValue& config) {
  const auto imported = ImportExperiment(config, "run");
  EXPECT_TRUE(imported.ok()) << imported.status();
  return imported.ok() ? *imported : ImportedExperiment();
}

std::string Text(const ImportedExperiment& imported) { return CanonicalMessageText(imported.experiment); }

std::vector<std::string> Leftovers(const ImportedExperiment& imported, bool has_effect) {
  std::vector<std::string> lines;
  for (const Leftover& leftover : imported.leftovers) {
    if (leftover.has_effect != has_effect) continue;
    lines.push_back(absl::StrCat(leftover.key, " = ", leftover.value, ": ", leftover.reason));
  }
  return lines;
}
std::vector<std::string> WithEffect(const ImportedExperiment& imported) { return Leftovers(imported, true); }
std::vector<std::string> WithoutEffect(const ImportedExperiment& imported) { return Leftovers(imported, false); }

TEST(NullTest, StandsForNothing) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"grad_clip", "0.5"},
      {"ema_decay", "0"},
      {"learning_rate.init", "0.0001"},
      {"batch_size", "1"},
      {"train_kwargs.frame_end_num", "155"},
      {"network.diffuser.num_heads", "8"},
      {"optimizer", "true"},
      {"_wds_root_url", "\"data\""},
  };
  for (const auto& [key, ours] : cases) {
    SCOPED_TRACE(key);
    const ImportedExperiment imported = Import(Compose(kDiffusion, {key + "=null"}));
    EXPECT_THAT(WithEffect(imported),
                Contains(absl::StrCat(key, " = null: null stands for nothing; here it is ", ours)));
  }
}

TEST(NullTest, IsAsGoodAsAnotherValue) {
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases = {
      {kDiffusion, {"ema", "false"}},
      {kDiffusion, {"use_ddim", "false"}},
      {kDiffusion, {"use_pos_embed", "false"}},
      {kDiffusion, {"use_classifier_free", "false"}},
      {kDiffusion, {"train_kwargs.grid_crop_augment", "false"}},
      {kVae, {"train_kwargs.replace_all_car_with_cad", "false"}},
      {kVoxel, {"use_skybox", "false"}},
      {kVoxel, {"train_kwargs.n_image_per_iter_sup", "17"}},  // 17 frames of one view: all of them
      {kVoxel, {"use_ssim_loss", "false"}},
      {kDual, {"backbone.params.use_2d", "false"}},
  };
  for (const auto& [name, key_and_value] : cases) {
    const auto& [key, value] = key_and_value;
    SCOPED_TRACE(key);
    ImportedExperiment null = Import(Compose(name, {key + "=null"}));
    ImportedExperiment other = Import(Compose(name, {absl::StrCat(key, "=", value)}));
    if (absl::EndsWith(key, "n_image_per_iter_sup")) {
      EXPECT_EQ(null.experiment.data().supervision_images_per_sample(), 0);
      other.experiment.mutable_data()->clear_supervision_images_per_sample();
    } else {
      EXPECT_NE(Text(null), Text(Import(Compose(name))));
    }
    EXPECT_EQ(Text(null), Text(other));
    EXPECT_THAT(WithEffect(null), Not(Contains(HasSubstr("null"))));
  }
}

TEST(AbsentTest, HasTheValueOfTheReferencesCode) {
  struct Case {
    std::string name, key, value, ours;
  };
  const std::vector<Case> cases = {
      {kVae, "grad_clip", "1000", "gradient {\n  clip_value: 1000\n}"},
      {kVae, "supervision.semantic_weight", "0", "  semantic_weight: 0\n"},
      {kVae, "network.unet.params.pooling_level", "[]", "  pool_height_levels: [1, 2]\n"},
      {kVae, "train_kwargs.frame_start_num", "30", "  frame_start: 30\n"},
      {kDiffusion, "train_kwargs.frame_end_num", "170", "  frame_end: 170\n"},  // though there is a frame_end_num
      {kDiffusion, "train_kwargs.fvdb_grid_type", "\"vs01\"", "  voxel_size: 0.1\n"},
      {kDiffusion, "num_inference_steps", "1000", "    steps: 1000\n"},
      {kDiffusion, "use_ddim", "false", "    kind: DDPM\n"},
      {kDiffusion, "use_pos_embed", "false", "    positions: NONE\n"},
      {kDiffusion, "use_classifier_free", "false", "    classifier_free_probability: 0\n"},
      {kDiffusion, "scale_by_std", "false", "  scale_latents_by_std: false\n"},
      {kDiffusion, "network.diffuser.transformer_depth", "1", "    transformer_depth: 1\n"},
      {kDiffusion, "network.scheduler.prediction_type", "\"epsilon\"", "  prediction_type: EPSILON\n"},
      {kVoxel, "backbone.params.backbone_3d_params.gsplat_upsample", "1", "    gaussians_per_voxel: 1\n"},
      {kVoxel, "supervision.render_weight", "0", "    render_weight: 0\n"},
      {kVoxel, "use_ssim_loss", "false", "    ssim_fraction: 0\n"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.key);
    const ImportedExperiment imported = Import(Without(Compose(one.name), {one.key}));
    EXPECT_THAT(Text(imported), HasSubstr(one.ours));
    EXPECT_THAT(Text(Import(Compose(one.name))), Not(HasSubstr(one.ours)));
    EXPECT_THAT(imported.remarks,
                Contains(absl::StrCat("assumed: ", one.key, " is not there; the reference takes ", one.value)));
  }
  const ImportedExperiment neither = Import(Without(Compose(kDiffusion), {"ema", "ema_decay"}));
  EXPECT_FALSE(neither.experiment.has_ema());
  EXPECT_THAT(neither.remarks, Contains("assumed: ema is not there; the reference takes false"));
  EXPECT_THAT(WithEffect(neither), ::testing::IsEmpty());
}

TEST(AbsentTest, IsSaidWhereTheReferenceNeedsTheKey) {
  const ImportedExperiment imported = Import(Without(Compose(kDiffusion), {"ema_decay"}));
  EXPECT_THAT(WithEffect(imported), ::testing::ElementsAre("ema_decay = : the reference needs it; here it is 0"));
  const ImportedExperiment whole = Import(Without(Compose(kDiffusion), {"learning_rate"}));
  EXPECT_THAT(WithEffect(whole), Contains("learning_rate.init = : the reference needs it; here it is 0.0001"));
  // How many threads read is of no consequence for what is computed.
  const ImportedExperiment threads = Import(Without(Compose(kDiffusion), {"train_val_num_workers"}));
  EXPECT_THAT(WithEffect(threads), ::testing::IsEmpty());
  EXPECT_THAT(WithoutEffect(threads), Contains("train_val_num_workers = : the reference needs it; here it is 2"));
}

TEST(AbsentTest, IsSaidWhereTheReferenceDoesAnotherThingThanCubistAlwaysDoes) {
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases = {
      {kVae, {"network.unet.params.order", "\"gcr\"; here it is always \"gcs\""}},
      {kVae, {"remain_h", "false; here it is true"}},
      {kDiffusion, {"conditioning_key", "\"none\"; here it is always \"concat_scube_general\""}},
      {kDiffusion, {"network.diffuser.use_scale_shift_norm", "false; here it is always true"}},
      {kVoxel, {"render_alpha", "false; here it is always true"}},
      {kVoxel, {"backbone.params.backbone_3d_params.gs_enhanced", "\"None\"; here it is always \"original\""}},
      {kVoxel, {"encoder.conv_params.n_use_gn_list", "[true, true, true]; here it is always every false"}},
  };
  for (const auto& [name, key_and_text] : cases) {
    const auto& [key, text] = key_and_text;
    SCOPED_TRACE(key);
    EXPECT_THAT(WithEffect(Import(Without(Compose(name), {key}))),
                ::testing::ElementsAre(absl::StrCat(key, " = : the reference takes ", text)));
  }
  EXPECT_THAT(WithEffect(Import(Without(Compose(kPixel), {"backbone.params.backbone_3d_params.gs_enhanced"}))),
              ::testing::IsEmpty());
}

TEST(UnusedTest, KeysThatNothingReadsAreListed) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"_input_slect_ids=[1]"}, "train_kwargs.input_slect_ids = [1]: read only with images"},
      {{"_input_slect_ids=[1]"}, "_input_slect_ids = [1]: read only with images"},
      {{"_sup_slect_ids=[0, 1]"}, "train_kwargs.sup_slect_ids = [0, 1]: read only with images"},
      {{"_n_image_per_iter_sup=3"}, "train_kwargs.n_image_per_iter_sup = 3: read only with images"},
      {{"ema=false"}, "ema_decay = 0.9999: read only with ema"},
      {{"use_classifier_free=false", "classifier_free_prob=0.2"},
       "classifier_free_prob = 0.2: read only with use_classifier_free"},
  };
  for (const auto& [assignments, line] : cases) {
    SCOPED_TRACE(line);
    const ImportedExperiment imported = Import(Compose(kDiffusion, assignments));
    EXPECT_THAT(WithoutEffect(imported), Contains(line));
    EXPECT_EQ(imported.experiment.data().input_views_size(), 0);
    EXPECT_EQ(imported.experiment.data().supervision_views_size(), 0);
    EXPECT_FALSE(imported.experiment.data().has_supervision_images_per_sample());
  }
  EXPECT_THAT(WithoutEffect(Import(Compose(kVae, {"enable_anneal=true"}))),
              Contains("kl_weight = 0.03: read only without enable_anneal"));
}

void CollectKeys(const YamlValue& value, const std::string& path, std::vector<std::string>* keys) {
  if (!path.empty()) keys->push_back(path);
  for (const YamlValue::Entry& entry : value.entries) {
    CollectKeys(entry.second, path.empty() ? entry.first : absl::StrCat(path, ".", entry.first), keys);
  }
}

// What is said about a config: remarks, and keys that are not carried over.
std::set<std::string> Said(const ImportedExperiment& imported) {
  std::set<std::string> said(imported.remarks.begin(), imported.remarks.end());
  for (const auto& lines : {WithEffect(imported), WithoutEffect(imported)}) said.insert(lines.begin(), lines.end());
  return said;
}

class SweepTest : public ::testing::TestWithParam<std::string> {};

TEST_P(SweepTest, NoKeyThatIsRemovedOrNullChangesAnythingSilently) {
  const YamlValue config = Compose(GetParam());
  const ImportedExperiment whole = Import(config);
  const std::set<std::string> said_before = Said(whole), parts = ActiveParts(whole.experiment);
  std::vector<std::string> keys;
  CollectKeys(config, "", &keys);
  int removed = 0, null = 0, changed = 0;
  for (const std::string& key : keys) {
    SCOPED_TRACE(key);
    const auto without = ImportExperiment(Without(config, {key}), "run");
    ++removed;
    // What is there is carried over, but this model does not read it.
    const bool is_read = GetParam() != kVoxel || !absl::StartsWith(key, "backbone.params.backbone_2d_params");
    if (is_read && without.ok() && Text(*without) != Text(whole)) {
      ++changed;
      const std::set<std::string> said = Said(*without);
      EXPECT_TRUE(std::any_of(
          said.begin(), said.end(),
          [&](const std::string& line) { return said_before.count(line) == 0 && absl::StrContains(line, key); }))
          << "removed: " << Text(*without);
    }
    YamlValue with_null = config;
    const auto [map, name] = Owner(key, &with_null);
    map->Set(name, YamlValue());
    const auto imported = ImportExperiment(with_null, "run");
    ++null;
    if (imported.ok() && Text(*imported) != Text(whole)) {
      ++changed;
      const ReferenceDefault* known = FindReferenceDefault(key, parts);
      const bool stands_for_a_value = known != nullptr && std::string(known->null) != "";
      EXPECT_TRUE(stands_for_a_value || WithEffect(*imported).size() > 0) << "null: " << Text(*imported);
    }
  }
  RecordProperty("removed", removed);
  RecordProperty("null", null);
  RecordProperty("changed", changed);
  EXPECT_GT(changed, 20);
}

INSTANTIATE_TEST_SUITE_P(Configs, SweepTest, ::testing::Values(kVae, kDiffusion, kVoxel, kPixel, kDual));

}  // namespace
}  // namespace cubist
