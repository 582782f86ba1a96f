// Holds the recipes against the reference's resolved configs, key by key, and their twins against them.
//
// testdata/reference_values.tsv has what the reference's own code composes for its five configs. Each of its values
// must be in the recipe of that name: in the field that names the key (reference_key), as kConverted says where the
// two spell it differently, or nowhere for a reason that configs/reference_keys.h gives.
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file_ops.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"
#include "configs/loader.h"
#include "configs/reference_keys.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using nlohmann::json;

// In the order of the table's columns.
const std::vector<std::string>& Recipes() {
  static const auto* const recipes = new std::vector<std::string>{
      "vae_64x64x64_height_down2_vs02_dense_residual", "diffusion_64x64x64_dense_vs02_map_cond",
      "gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
      "gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
      "gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator"};
  return *recipes;
}

const std::vector<std::string>& Twins() {
  static const auto* const twins =
      new std::vector<std::string>{"vae", "diffusion", "reconstruction_3d", "reconstruction_2d", "reconstruction_dual"};
  return *twins;
}

std::string RecipePath(const std::string& name) { return "configs/recipes/" + name + ".textproto"; }
std::string TwinPath(const std::string& name) { return "configs/quickstart/" + name + ".textproto"; }

// A value that ours spells in another way. A key that stands for several values has several lines.
struct Converted {
  std::string key;
  std::string value;  // of the reference, as JSON
  std::string path;
  std::string ours;  // as we print it
};

const std::vector<Converted>& ConvertedValues() {
  static const auto* const values = new std::vector<Converted>{
      {"model", "\"autoencoder\"", "voxel_vae.num_semantic", "23"},  // the message is set
      {"model", "\"diffusion\"", "voxel_diffusion.mse_weight", "1"},
      {"model", "\"gsm\"", "gaussian_reconstruction.loss.render_weight", "1"},
      {"optimizer", "\"Adam\"", "optimizer.amsgrad", "true"},  // which selects AdamW with AMSGrad
      {"_wds_root_url", "\"data/\"", "data.data_root", "\"data\""},
      {"train_kwargs.wds_root_url", "\"data/\"", "data.data_root", "\"data\""},
      {"_fvdb_grid_type", "\"vs02\"", "data.voxel_size", "0.2"},
      {"train_kwargs.fvdb_grid_type", "\"vs02\"", "data.voxel_size", "0.2"},
      {"finest_voxel_size_goal", "\"vs02\"", "data.voxel_size", "0.2"},
      {"train_kwargs.finest_voxel_size_goal", "\"vs02\"", "data.voxel_size", "0.2"},
      {"_n_image_per_iter_sup", "null", "data.supervision_images_per_sample", "0"},
      {"train_kwargs.n_image_per_iter_sup", "null", "data.supervision_images_per_sample", "0"},
      {"map_types", "null", "data.map_types", "(not set)"},
      {"train_kwargs.map_types", "null", "data.map_types", "(not set)"},
      {"enable_anneal", "false", "voxel_vae.kl_anneal", "(not set)"},
      {"remain_h", "true", "voxel_vae.pool_height_levels", "[2]"},  // the other levels keep the height
      {"ema", "true", "ema.decay", "0.9999"},
      {"use_classifier_free", "true", "voxel_diffusion.conditions.classifier_free_probability", "0.1"},
      {"use_pos_embed", "true", "voxel_diffusion.conditions.positions", "CELL_INDEX"},
      {"use_ddim", "true", "voxel_diffusion.sampler.kind", "DDIM"},
      {"network.map_3d_cond_model.params.cube_bbox_size", "64", "voxel_diffusion.latent_size", "[64, 64, 64]"},
      {"network.box_3d_cond_model.params.cube_bbox_size", "64", "voxel_diffusion.latent_size", "[64, 64, 64]"},
      {"vae_config", "\"infinicube/voxelgen/configs/vae_64x64x64_height_down2_vs02_dense_residual.yaml\"",
       "voxel_diffusion.vae.config", "\"configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto\""},
      {"use_ssim_loss", "true", "gaussian_reconstruction.loss.ssim_fraction", "0.2"},
      {"encoder.conv_params.n_filter_list", "[3, 16, 32, 64]", "gaussian_reconstruction.convolution_encoder.channels",
       "[16, 32, 64]"},
      {"skybox_target", "\"panorama_full\"", "gaussian_reconstruction.sky_mlp_modulator", "(not set)"},
      {"skybox_target", "\"mlp_modulator\"", "gaussian_reconstruction.sky_panorama", "(not set)"},
      {"backbone.params.pretrain_3d_branch_ckpt", "\"\"", "gaussian_reconstruction.voxel_branch.checkpoint",
       "(not set)"},
      {"backbone.params.pretrain_2d_branch_ckpt", "\"\"", "gaussian_reconstruction.pixel_branch.checkpoint",
       "(not set)"},
  };
  return *values;
}

// Keys with another value than the one that the reference's training reads.
const std::set<std::string>& Overruled() {
  static const auto* const keys = new std::set<std::string>{
      "diffusion_64x64x64_dense_vs02_map_cond frame_end_num",  // by train_kwargs.frame_end_num
  };
  return *keys;
}

std::string ValueAt(const Experiment& experiment, const std::string& path) {
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  if (!resolved.ok()) return resolved.error;
  const google::protobuf::Message* message = &experiment;
  for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
    message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
  }
  return CanonicalFieldText(*message, resolved.fields.back());
}

ValidatedExperiment Load(const std::string& path) {
  const auto loaded = LoadExperiment(path);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  if (!loaded.ok()) std::abort();
  return *loaded;
}

struct Table {
  std::vector<std::map<std::string, std::string>> columns;  // key -> JSON
};

Table ReadTable() {
  Table table;
  const auto text = ReadWholeFile("configs/testdata/reference_values.tsv");
  EXPECT_TRUE(text.ok()) << text.status();
  if (!text.ok()) std::abort();
  table.columns.resize(Recipes().size());
  bool header = true;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    if (line[0] == '#') continue;
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    EXPECT_EQ(cells.size(), Recipes().size() + 1) << line;
    for (size_t i = 0; !header && i + 1 < cells.size(); ++i) {
      if (cells[i + 1] != "-") table.columns[i][cells[0]] = cells[i + 1];
    }
    header = false;
  }
  return table;
}

// The JSON value of the reference as ours prints the field.
std::string Expected(const json& value, const FieldDescriptor* field) {
  if (value.is_array()) {
    std::string text;
    for (const json& element : value) text += (text.empty() ? "" : ", ") + Expected(element, field);
    return "[" + text + "]";
  }
  if (field->enum_type() != nullptr) {
    for (int i = 0; i < field->enum_type()->value_count(); ++i) {
      const auto* candidate = field->enum_type()->value(i);
      const bool same = value.is_string() ? ReferenceValue(*candidate) == value.get<std::string>()
                                          : value.is_number_integer() && candidate->number() == value.get<int>();
      if (same) return candidate->name();
    }
    return "no value of " + field->enum_type()->name();
  }
  return value.is_number() ? ShortestNumber(value.get<double>()) : value.dump();
}

// Scene lists are found from assets_root.
std::string WithoutAssets(const std::string& value) {
  const size_t at = value.find("infinicube/assets/");
  return at == std::string::npos ? value : value.substr(0, at) + value.substr(at + 18);
}

class RecipeTest : public ::testing::TestWithParam<size_t> {};

TEST_P(RecipeTest, HasTheReferencesValues) {
  const std::string& name = Recipes()[GetParam()];
  const ValidatedExperiment recipe = Load(RecipePath(name));
  const Experiment& experiment = recipe.proto();
  EXPECT_EQ(experiment.name(), name);
  const std::set<std::string> parts = ActiveParts(experiment);
  const std::map<std::string, std::string> table = ReadTable().columns[GetParam()];
  std::map<std::string, ReferenceField> fields;
  for (const ReferenceField& field : ReferenceFields(experiment.task_case())) {
    for (const std::string& key : field.keys) fields.emplace(key, field);
  }
  int carried = 0, left_out = 0;
  for (const auto& [key, text] : table) {
    SCOPED_TRACE(absl::StrCat(key, " = ", text));
    // Validation reads what training does.
    const std::string train_key =
        absl::StartsWith(key, "val_kwargs.") ? absl::StrCat("train_kwargs.", key.substr(11)) : "";
    bool converted = false, fits = false;
    for (const Converted& value : ConvertedValues()) {
      if (value.key != key || value.value != text) continue;
      converted = true;
      EXPECT_EQ(ValueAt(experiment, value.path), value.ours) << value.path;
    }
    if (converted) {
      ++carried;
      continue;
    }
    if (key == "backbone.params.use_3d" || key == "backbone.params.use_2d") {
      const auto without =
          key == "backbone.params.use_3d" ? GaussianReconstruction::PIXEL : GaussianReconstruction::VOXEL;
      EXPECT_EQ(experiment.gaussian_reconstruction().branch() != without, text == "true");
      ++carried;
      continue;
    }
    if (const LeftOutKey* reason = FindLeftOutKey(key, parts); reason != nullptr) {
      ++left_out;
      EXPECT_STRNE(reason->reason, "");
      if (reason->kind == LeftOutKind::kFixed && json::accept(reason->value)) {
        fits = json::parse(reason->value) == json::parse(text);
        EXPECT_TRUE(fits) << "fixed to " << reason->value;
      }
      continue;
    }
    const auto field = fields.find(key);
    if (field == fields.end()) {
      const auto train = table.find(train_key);
      EXPECT_TRUE(train != table.end() && train->second == text) << "neither carried nor left out for a reason";
      ++left_out;
      continue;
    }
    ++carried;
    // Views are of images, which only one model reads.
    if (absl::StrContains(field->second.path, "_views") && !experiment.has_gaussian_reconstruction()) continue;
    const std::string expected = Expected(json::parse(WithoutAssets(text)), field->second.field);
    if (Overruled().count(absl::StrCat(name, " ", key)) > 0) {
      EXPECT_NE(ValueAt(experiment, field->second.path), expected);
    } else {
      EXPECT_EQ(ValueAt(experiment, field->second.path), expected) << field->second.path;
    }
  }
  RecordProperty("carried", carried);
  RecordProperty("left_out", left_out);
  EXPECT_GT(carried, 60);
  EXPECT_EQ(carried + left_out, static_cast<int>(table.size()));
}

INSTANTIATE_TEST_SUITE_P(Recipes, RecipeTest, ::testing::Range<size_t>(0, 5),
                         [](const auto& info) { return Twins()[info.param]; });

// What the reference's code and command line add to its configs.
TEST(RecipeValuesTest, HaveWhatTheReferencesCodeAndCommandLineAdd) {
  const std::map<std::string, std::string> of_all = {
      {"optimizer.beta1", "0.9"},
      {"optimizer.beta2", "0.999"},
      {"optimizer.epsilon", "1e-08"},
      {"data.validation_start_frame", "50"},
      {"training.seed", "0"},
      {"training.precision", "BF16"},
      {"training.max_steps", "(not set)"},
      {"validation.interval_epochs", "1"},
      {"checkpoints.interval_steps", "50"},
      {"checkpoints.keep_last", "2"},
      {"logging.interval_steps", "20"},
      {"logging.picture_interval_steps", "500"},
      {"logging.logger_type", "WANDB"},
      {"compat", "CORRECT"},
  };
  // The VAE and the reconstruction: batch_size * accumulate_grad_batches, whatever the world size.
  const std::vector<std::map<std::string, std::string>> of_each = {
      {{"learning_rate.samples_per_step", "8"},
       {"ema.decay", "0"},
       {"voxel_vae.norm_groups", "8"},
       {"voxel_vae.adaptive_structure_weight", "false"}},
      {{"learning_rate.samples_per_step", "1"},
       {"voxel_diffusion.latent_channels", "8"},
       {"voxel_diffusion.unet.norm_groups", "32"},
       {"voxel_diffusion.conditions.box_occupancy", "false"},
       {"voxel_diffusion.noise_schedule.zero_terminal_snr", "false"},
       {"voxel_diffusion.sampler.eta", "1"},
       {"voxel_diffusion.sampler.guidance_scale", "1"}},
      {{"learning_rate.samples_per_step", "4"},
       {"ema.decay", "0"},
       {"gaussian_reconstruction.voxel_branch.norm_groups", "8"},
       {"gaussian_reconstruction.voxel_branch.drop_invisible", "false"},
       {"gaussian_reconstruction.renderer.near", "0.01"},
       {"gaussian_reconstruction.renderer.far", "10000000000"},
       {"gaussian_reconstruction.renderer.blur", "0.3"},
       {"gaussian_reconstruction.renderer.max_alpha", "0.999"}},
      {{"learning_rate.samples_per_step", "4"},
       {"gaussian_reconstruction.sky_mlp_modulator.min_sky_fraction", "0.75"},
       {"gaussian_reconstruction.sky_mlp_modulator.dropout", "0.1"}},
      {{"learning_rate.samples_per_step", "4"}},
  };
  for (size_t i = 0; i < Recipes().size(); ++i) {
    const ValidatedExperiment recipe = Load(RecipePath(Recipes()[i]));
    for (const auto& [path, value] : of_all) EXPECT_EQ(ValueAt(recipe.proto(), path), value) << Recipes()[i] << path;
    for (const auto& [path, value] : of_each[i])
      EXPECT_EQ(ValueAt(recipe.proto(), path), value) << Recipes()[i] << path;
  }
}

TEST(RecipeValuesTest, VaeDecaysWhereTheReferenceDoes) {
  // The reference's table: the first decay after 6250 steps.
  const LearningRate rate = Load(RecipePath(Recipes()[0])).proto().learning_rate();
  EXPECT_EQ(rate.decay_samples() % rate.samples_per_step(), 0);
  EXPECT_EQ(rate.decay_samples() / rate.samples_per_step(), 6250);
}

class TwinTest : public ::testing::TestWithParam<size_t> {};

TEST_P(TwinTest, IsTheSameModelMadeSmall) {
  const ValidatedExperiment twin = Load(TwinPath(Twins()[GetParam()])),
                            recipe = Load(RecipePath(Recipes()[GetParam()]));
  EXPECT_EQ(twin.proto().task_case(), recipe.proto().task_case());
  EXPECT_EQ(ActiveParts(twin.proto()), ActiveParts(recipe.proto()));
  EXPECT_EQ(twin.proto().name(), "quickstart_" + Twins()[GetParam()]);
  const std::map<std::string, std::string> values = {
      {"data.train_clip_list", "(not set)"},
      {"data.validation_clip_list", "(not set)"},
      {"training.precision", "FP32"},  // what a CPU has
      {"logging.logger_type", "NONE"},
  };
  for (const auto& [path, value] : values) EXPECT_EQ(ValueAt(twin.proto(), path), value) << path;
  EXPECT_TRUE(absl::StartsWith(twin.proto().data().data_root(), "data/quickstart"));
  EXPECT_TRUE(twin.proto().data().has_synthesize());
  EXPECT_LE(twin.proto().data().synthesize().clips() * twin.proto().data().synthesize().frames(), 480);
  EXPECT_TRUE(twin.proto().training().has_max_steps());
  EXPECT_LE(twin.proto().training().max_steps(), 400);
  for (const char* path : {"data.attributes", "data.replace_cars_with_cad", "data.map_types", "data.input_views",
                           "data.supervision_views", "optimizer", "gradient", "compat"}) {
    EXPECT_EQ(ValueAt(twin.proto(), path), ValueAt(recipe.proto(), path)) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Twins, TwinTest, ::testing::Range<size_t>(0, 5),
                         [](const auto& info) { return Twins()[info.param]; });

TEST(TwinValuesTest, VaeIsTheSameNetworkMadeNarrow) {
  const ValidatedExperiment twin = Load(TwinPath("vae")), recipe = Load(RecipePath(Recipes()[0]));
  // It decays as the recipe does, within the steps that it has.
  const LearningRate& rate = twin.proto().learning_rate();
  EXPECT_EQ(rate.samples_per_step(), twin.proto().batch().per_gpu() * twin.proto().batch().accumulate());
  EXPECT_LT(rate.decay_samples() / rate.samples_per_step(), twin.proto().training().max_steps());
  for (const char* path : {"data.input_frame_offsets", "data.supervision_frame_offsets", "voxel_vae.num_levels",
                           "voxel_vae.pool_height_levels", "voxel_vae.num_semantic", "voxel_vae.norm_groups",
                           "voxel_vae.structure_weight", "voxel_vae.semantic_weight"}) {
    EXPECT_EQ(ValueAt(twin.proto(), path), ValueAt(recipe.proto(), path)) << path;
  }
  EXPECT_LT(twin.proto().voxel_vae().base_channels(), recipe.proto().voxel_vae().base_channels());
}

TEST(TwinValuesTest, DiffusionIsOfTheLatentsOfTheVaesTwin) {
  for (const bool small : {true, false}) {
    const Experiment diffusion = Load(small ? TwinPath("diffusion") : RecipePath(Recipes()[1])).proto();
    const std::string vae_path = diffusion.voxel_diffusion().vae().config();
    EXPECT_EQ(vae_path, small ? TwinPath("vae") : RecipePath(Recipes()[0]));
    const Experiment vae = Load(vae_path).proto();
    for (const char* path : {"data.voxel_size", "data.crop_min", "data.crop_max", "data.attributes"}) {
      EXPECT_EQ(ValueAt(diffusion, path), ValueAt(vae, path)) << path;
    }
    const VoxelVae& network = vae.voxel_vae();
    EXPECT_EQ(diffusion.voxel_diffusion().latent_channels(),
              (network.base_channels() << (network.num_levels() - 1)) / network.latent_cut_ratio());
    for (int axis = 0; axis < 3; ++axis) {
      EXPECT_EQ(diffusion.voxel_diffusion().latent_size(axis), 2 * network.neck_half_extent(axis));
    }
  }
}

}  // namespace
}  // namespace cubist
