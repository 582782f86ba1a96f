#include "configs/reference_keys.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

TEST(ReferenceKeysTest, EachKeyIsOfOneField) {
  for (const auto task : {Experiment::kVoxelVae, Experiment::kVoxelDiffusion, Experiment::kGaussianReconstruction}) {
    std::map<std::string, std::string> fields;
    for (const ReferenceField& field : ReferenceFields(task)) {
      EXPECT_FALSE(field.keys.empty()) << field.path;
      for (const std::string& key : field.keys) {
        // One key chooses between the skies.
        if (key == "skybox_target") continue;
        EXPECT_TRUE(fields.emplace(key, field.path).second) << key << " is of " << fields[key] << " and " << field.path;
      }
    }
    EXPECT_EQ(fields["batch_size"], "batch.per_gpu");
    EXPECT_GT(fields.size(), 40u);
  }
}

TEST(ReferenceKeysTest, FieldsOfOtherModelsAreLeftOut) {
  std::set<std::string> paths;
  for (const ReferenceField& field : ReferenceFields(Experiment::kVoxelDiffusion)) paths.insert(field.path);
  EXPECT_EQ(paths.count("voxel_diffusion.unet.model_channels"), 1u);
  EXPECT_EQ(paths.count("voxel_vae.base_channels"), 0u);
}

TEST(ReferenceKeysTest, KeysWithoutAFieldHaveAReason) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const LeftOutKey& entry : LeftOutKeys()) {
    SCOPED_TRACE(entry.key);
    EXPECT_TRUE(seen.insert({entry.key, entry.when}).second);
    EXPECT_STRNE(entry.reason, "");
    const std::string value = entry.value;
    if (entry.kind != LeftOutKind::kFixed) {
      EXPECT_EQ(value, "");
    } else {
      EXPECT_TRUE(nlohmann::json::accept(value) || absl::StartsWith(value, "every ") ||
                  (absl::StartsWith(value, "first ") && absl::StrContains(value, ", then ")))
          << value;
    }
  }
}

TEST(ReferenceKeysTest, DefaultsAreOfKeysThatAreKnown) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const ReferenceDefault& entry : ReferenceDefaults()) {
    SCOPED_TRACE(entry.key);
    const std::string key = entry.key, when = entry.when, absent = entry.absent, null = entry.null;
    EXPECT_TRUE(seen.insert({key, when}).second);
    EXPECT_FALSE(absent.empty() && null.empty());
    EXPECT_TRUE(absent.empty() || nlohmann::json::accept(absent)) << absent;
    EXPECT_TRUE(null.empty() || nlohmann::json::accept(null)) << null;
    EXPECT_FALSE(absent == "null" && null.empty());
    EXPECT_NE(null, "null");
    const Experiment::TaskCase task = when == "voxel_vae"         ? Experiment::kVoxelVae
                                      : when == "voxel_diffusion" ? Experiment::kVoxelDiffusion
                                                                  : Experiment::kGaussianReconstruction;
    bool known = FindLeftOutKey(key, {"gaussian_reconstruction", when}) != nullptr;
    for (const ReferenceField& field : ReferenceFields(task)) {
      for (const std::string& other : field.keys) known = known || other == key;
    }
    EXPECT_TRUE(known);
    EXPECT_EQ(FindReferenceDefault(key, {when}), &entry);
  }
  EXPECT_EQ(FindReferenceDefault("use_skybox", {"voxel_vae"}), nullptr);
  EXPECT_EQ(FindReferenceDefault("no_such_key", {"voxel_vae"}), nullptr);
}

TEST(ReferenceKeysTest, FindsByPartAndFolder) {
  EXPECT_EQ(FindLeftOutKey("voxel_size", {"voxel_vae"}), nullptr);
  ASSERT_NE(FindLeftOutKey("voxel_size", {"gaussian_reconstruction"}), nullptr);
  ASSERT_NE(FindLeftOutKey("test_kwargs.split", {}), nullptr);
  EXPECT_EQ(FindLeftOutKey("test_kwargs", {}), nullptr);
  EXPECT_EQ(FindLeftOutKey("test_kwargs_other", {}), nullptr);
  EXPECT_EQ(FindLeftOutKey("skybox_net", {"gaussian_reconstruction", "sky_panorama"})->kind, LeftOutKind::kFixed);
  EXPECT_EQ(FindLeftOutKey("skybox_net", {"gaussian_reconstruction", "sky_mlp_modulator"})->kind,
            LeftOutKind::kNotRead);
}

TEST(ReferenceKeysTest, WordsOfEnums) {
  EXPECT_EQ(ReferenceValue(*VoxelDiffusion::PredictionType_descriptor()->FindValueByName("V_PREDICTION")),
            "v_prediction");
  EXPECT_EQ(ReferenceValue(*PixelBranch::DepthPrior_descriptor()->FindValueByName("DEPTH_ANYTHING_FEATURE")),
            "dav2_feature");
}

}  // namespace
}  // namespace cubist
