// Holds the recipes against the reference's resolved configs, key by key, and their twins against them.
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "configs/canonical_text.h"
#include "configs/field_path.h"
#include "configs/loader.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

constexpr char kVae[] = "configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto";
constexpr char kVaeTwin[] = "configs/quickstart/vae.textproto";

constexpr char kAttributes[] =
    "[\"pose\", \"pc_with_map_without_car_voxelsize_01\", \"intrinsic\", \"static_object_info\", "
    "\"dynamic_object_info\", \"dynamic_object_points_canonical\", \"3d_road_edge_voxelsize_025\", "
    "\"3d_road_line_voxelsize_025\", \"3d_road_surface_voxelsize_04\"]";
constexpr char kTrainList[] = "\"waymo_split/official_train_w_dynamic_w_ego_motion_gt_30m_good_voxel.json\"";
constexpr char kValidationList[] = "\"waymo_split/official_val_w_dynamic_w_ego_motion_gt_30m_good_voxel.json\"";

// The value at `path` as it is printed.
std::string ValueAt(const Experiment& experiment, const std::string& path) {
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  if (!resolved.ok()) return resolved.error;
  const google::protobuf::Message* message = &experiment;
  for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
    message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
  }
  return CanonicalFieldText(*message, resolved.fields.back());
}

struct CarriedKey {
  std::string key;    // of the reference's resolved config
  std::string path;   // of ours
  std::string value;  // of the reference, as we print it
};

struct LeftOutKey {
  std::string key;
  std::string reason;
};

const std::vector<CarriedKey>& CarriedVaeKeys() {
  static const auto* const keys = new std::vector<CarriedKey>{
      // The experiment.
      {"model", "voxel_vae.num_levels", "3"},      // "autoencoder": the oneof member voxel_vae is set
      {"optimizer", "optimizer.amsgrad", "true"},  // "Adam" selects AdamW with AMSGrad
      {"weight_decay", "optimizer.weight_decay", "0"},
      {"grad_clip", "gradient.clip_value", "0.5"},
      {"batch_size", "batch.per_gpu", "1"},
      {"accumulate_grad_batches", "batch.accumulate", "8"},
      {"learning_rate.init", "learning_rate.initial", "0.0001"},
      {"learning_rate.decay_mult", "learning_rate.decay_factor", "0.7"},
      {"learning_rate.decay_step", "learning_rate.decay_samples", "50000"},
      {"learning_rate.clip", "learning_rate.minimum", "1e-06"},
      // The data.
      // "data/", which is the same folder.
      {"_wds_root_url", "data.data_root", "\"data\""},
      {"train_kwargs.wds_root_url", "data.data_root", "\"data\""},
      {"_attr_subfolders", "data.attributes", kAttributes},
      {"train_kwargs.attr_subfolders", "data.attributes", kAttributes},
      {"train_kwargs.wds_scene_list_file", "data.train_clip_list", kTrainList},
      {"val_kwargs.wds_scene_list_file", "data.validation_clip_list", kValidationList},
      {"grid_crop_bbox_min", "data.crop_min", "[-25.6, -25.6, -6.4]"},
      {"train_kwargs.grid_crop_bbox_min", "data.crop_min", "[-25.6, -25.6, -6.4]"},
      {"grid_crop_bbox_max", "data.crop_max", "[25.6, 25.6, 19.2]"},
      {"train_kwargs.grid_crop_bbox_max", "data.crop_max", "[25.6, 25.6, 19.2]"},
      {"grid_crop_augment", "data.crop_jitter", "true"},
      {"train_kwargs.grid_crop_augment", "data.crop_jitter", "true"},
      {"grid_crop_augment_range", "data.crop_jitter_range", "[3.2, 3.2, 0.8]"},
      {"train_kwargs.grid_crop_augment_range", "data.crop_jitter_range", "[3.2, 3.2, 0.8]"},
      {"frame_start_num", "data.frame_start", "15"},
      {"train_kwargs.frame_start_num", "data.frame_start", "15"},
      {"frame_end_num", "data.frame_end", "155"},
      {"train_kwargs.frame_end_num", "data.frame_end", "155"},
      {"_input_frame_offsets", "data.input_frame_offsets", "[0]"},
      {"train_kwargs.input_frame_offsets", "data.input_frame_offsets", "[0]"},
      {"_sup_frame_offsets", "data.supervision_frame_offsets", "[0]"},
      {"train_kwargs.sup_frame_offsets", "data.supervision_frame_offsets", "[0]"},
      {"replace_all_car_with_cad", "data.replace_cars_with_cad", "true"},
      {"train_kwargs.replace_all_car_with_cad", "data.replace_cars_with_cad", "true"},
      {"map_types", "data.map_types", "(not set)"},  // null: no map layers in a batch
      {"train_kwargs.map_types", "data.map_types", "(not set)"},
      {"voxel_size", "data.voxel_size", "0.2"},
      {"_fvdb_grid_type", "data.voxel_size", "0.2"},  // "vs02"
      {"train_kwargs.fvdb_grid_type", "data.voxel_size", "0.2"},
      {"finest_voxel_size_goal", "data.voxel_size", "0.2"},
      {"train_kwargs.finest_voxel_size_goal", "data.voxel_size", "0.2"},
      {"train_val_num_workers", "data.loader_threads", "16"},
      // The network.
      {"num_semantic", "voxel_vae.num_semantic", "23"},
      {"dim_semantic", "voxel_vae.dim_semantic", "32"},
      {"network.encoder.c_dim", "voxel_vae.encoder_channels", "32"},
      {"network.unet.params.in_channels", "voxel_vae.encoder_channels", "32"},
      {"network.unet.params.f_maps", "voxel_vae.base_channels", "64"},
      {"network.unet.params.num_blocks", "voxel_vae.num_levels", "3"},
      {"tree_depth", "voxel_vae.num_levels", "3"},
      {"network.unet.params.pooling_level", "voxel_vae.pool_height_levels", "[2]"},
      {"remain_h", "voxel_vae.pool_height_levels", "[2]"},  // true: other levels keep the height
      {"network.unet.params.neck_bound", "voxel_vae.neck_half_extent", "[32, 32, 32]"},
      {"cut_ratio", "voxel_vae.latent_cut_ratio", "32"},
      // The losses.
      {"supervision.structure_weight", "voxel_vae.structure_weight", "20"},
      {"supervision.semantic_weight", "voxel_vae.semantic_weight", "20"},
      {"kl_weight", "voxel_vae.kl_weight", "0.03"},
      {"enable_anneal", "voxel_vae.kl_anneal", "(not set)"},
      // Off, but what annealing would do without further words is the same; the values are the schema's defaults.
      {"kl_weight_min", "voxel_vae.kl_anneal.weight_min", "1e-07"},
      {"kl_weight_max", "voxel_vae.kl_anneal.weight_max", "0.03"},
      {"anneal_star_iter", "voxel_vae.kl_anneal.start_step", "0"},
      {"anneal_end_iter", "voxel_vae.kl_anneal.end_step", "70000"},
  };
  return *keys;
}

const std::vector<LeftOutKey>& LeftOutVaeKeys() {
  const std::string no_mode = "one way of working; the recipe's value is what the code does";
  const std::string not_read = "accepted and ignored by the reference";
  const std::string views = "images and views, which the voxel VAE does not read";
  const std::string test_set = "there is no third data set: its list is the validation list";
  const std::string composition = "composition of the reference's YAML files; ours is include and reset";
  static const auto* const keys = new std::vector<LeftOutKey>{
      {"test_set_shuffle", test_set},
      {"test_dataset", test_set},
      {"test_num_workers", test_set},
      {"test_kwargs.split", test_set},
      {"test_kwargs.wds_scene_list_file", test_set},
      {"test_kwargs.frame_end_num", test_set},
      {"visualize", "an interactive window of the reference's"},
      {"name", "the project's name at Weights & Biases; a run of ours is named after its recipe"},
      {"use_fvdb_loader", no_mode},
      {"train_dataset", "there is one kind of data set"},
      {"val_dataset", "there is one kind of data set"},
      {"train_kwargs.split", "follows from which of the two lists a clip is in"},
      {"val_kwargs.split", "follows from which of the two lists a clip is in"},
      {"val_kwargs.frame_end_num", "validation starts at data.validation_start_frame only"},
      {"shuffle_buffer", "an epoch is a keyed permutation of all clips and start frames"},
      {"train_kwargs.shuffle_buffer", "an epoch is a keyed permutation of all clips and start frames"},
      {"exec", composition},
      {"include", composition},
      {"_dino_slect_ids", not_read},
      {"_dino_data_root", not_read},
      {"train_kwargs.dino_slect_ids", not_read},
      {"train_kwargs.dino_data_root", not_read},
      {"_add_high_res_grid", not_read},
      {"train_kwargs.add_high_res_grid", not_read},
      {"add_road_line_to_GT", not_read},
      {"train_kwargs.add_road_line_to_GT", not_read},
      {"resolution", not_read},
      {"_input_slect_ids", views},
      {"_sup_slect_ids", views},
      {"train_kwargs.input_slect_ids", views},
      {"train_kwargs.sup_slect_ids", views},
      {"_n_image_per_iter_sup", views},
      {"train_kwargs.n_image_per_iter_sup", views},
      {"input_depth_type", views},
      {"train_kwargs.input_depth_type", views},
      {"use_hash_tree", "cannot go with levels that keep the height, and is off"},
      {"use_input_normal", "off; the scenes have no normals"},
      {"use_input_intensity", "off; the scenes have no intensities"},
      {"use_input_semantic", no_mode},
      {"normalize_kld", no_mode},
      {"supervision.normal_weight", "0; the scenes have no normals"},
      {"network.unet.target", "there is one network"},
      {"network.unet.params.neck_dense_type", no_mode},
      {"network.unet.params.num_res_blocks", no_mode},
      {"network.unet.params.use_residual", no_mode},
      {"network.unet.params.order", no_mode},
      {"network.unet.params.is_add_dec", no_mode},
      {"network.unet.params.use_attention", "off"},
      {"network.unet.params.use_checkpoint", "off; a way of saving memory, not part of the model"},
  };
  return *keys;
}

ValidatedExperiment Load(const std::string& path) {
  const auto loaded = LoadExperiment(path);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  if (!loaded.ok()) std::abort();
  return *loaded;
}

TEST(RecipeTest, VaeHasTheReferencesValues) {
  const ValidatedExperiment vae = Load(kVae);
  ASSERT_TRUE(vae.proto().has_voxel_vae());
  for (const CarriedKey& key : CarriedVaeKeys()) {
    EXPECT_EQ(ValueAt(vae.proto(), key.path), key.value) << key.key << " -> " << key.path;
  }
}

TEST(RecipeTest, VaeKeysAreEitherCarriedOrLeftOutForAReason) {
  std::set<std::string> keys;
  for (const CarriedKey& key : CarriedVaeKeys()) EXPECT_TRUE(keys.insert(key.key).second) << key.key;
  for (const LeftOutKey& key : LeftOutVaeKeys()) {
    EXPECT_TRUE(keys.insert(key.key).second) << key.key;
    EXPECT_FALSE(key.reason.empty()) << key.key;
  }
  // Of the resolved config with its data set's arguments, as the reference's own code composes it.
  EXPECT_EQ(keys.size(), 110u);
}

TEST(RecipeTest, VaeHasWhatTheReferencesCodeAndCommandLineAdd) {
  const ValidatedExperiment vae = Load(kVae);
  const std::map<std::string, std::string> values = {
      {"name", "\"vae_64x64x64_height_down2_vs02_dense_residual\""},
      {"optimizer.beta1", "0.9"},
      {"optimizer.beta2", "0.999"},
      {"optimizer.epsilon", "1e-08"},
      {"learning_rate.samples_per_step", "8"},  // batch_size * accumulate_grad_batches, whatever the world size
      {"data.validation_start_frame", "50"},
      {"voxel_vae.norm_groups", "8"},
      {"voxel_vae.adaptive_structure_weight", "false"},
      {"ema.decay", "0"},  // only the diffusion model has one
      {"training.seed", "0"},
      {"training.precision", "BF16"},
      {"training.max_steps", "(not set)"},
      {"validation.interval_epochs", "1"},
      {"checkpoints.interval_steps", "50"},
      {"checkpoints.keep_last", "2"},
      {"logging.interval_steps", "20"},
      {"logging.logger_type", "WANDB"},
      {"compat", "CORRECT"},
  };
  for (const auto& [path, value] : values) EXPECT_EQ(ValueAt(vae.proto(), path), value) << path;
}

TEST(RecipeTest, VaeDecaysWhereTheReferenceDoes) {
  // The reference's table: the first decay after 6250 steps.
  const LearningRate rate = Load(kVae).proto().learning_rate();
  EXPECT_EQ(rate.decay_samples() % rate.samples_per_step(), 0);
  EXPECT_EQ(rate.decay_samples() / rate.samples_per_step(), 6250);
}

TEST(RecipeTest, TwinIsTheSameModelMadeSmall) {
  const ValidatedExperiment twin = Load(kVaeTwin), recipe = Load(kVae);
  const std::map<std::string, std::string> values = {
      {"name", "\"quickstart_vae\""},        {"data.data_root", "\"data/quickstart\""},
      {"data.train_clip_list", "(not set)"}, {"data.validation_clip_list", "(not set)"},
      {"training.precision", "FP32"},  // what a CPU has
      {"logging.logger_type", "NONE"},
  };
  for (const auto& [path, value] : values) EXPECT_EQ(ValueAt(twin.proto(), path), value) << path;
  EXPECT_TRUE(twin.proto().data().has_synthesize());
  EXPECT_TRUE(twin.proto().training().has_max_steps());
  // It decays as the recipe does, within the steps that it has.
  const LearningRate& rate = twin.proto().learning_rate();
  EXPECT_EQ(rate.samples_per_step(), twin.proto().batch().per_gpu() * twin.proto().batch().accumulate());
  EXPECT_LT(rate.decay_samples() / rate.samples_per_step(), twin.proto().training().max_steps());
  for (const char* path :
       {"data.attributes", "data.replace_cars_with_cad", "data.input_frame_offsets", "data.supervision_frame_offsets",
        "voxel_vae.num_levels", "voxel_vae.pool_height_levels", "voxel_vae.num_semantic", "voxel_vae.norm_groups",
        "voxel_vae.structure_weight", "voxel_vae.semantic_weight", "optimizer", "gradient", "compat"}) {
    EXPECT_EQ(ValueAt(twin.proto(), path), ValueAt(recipe.proto(), path)) << path;
  }
  EXPECT_LT(twin.proto().voxel_vae().base_channels(), recipe.proto().voxel_vae().base_channels());
}

}  // namespace
}  // namespace cubist
