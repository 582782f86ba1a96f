#include "configs/reference_keys.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "configs/field_path.h"
#include "configs/proto/field_options.pb.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

void CollectFields(const Descriptor* message, const std::string& path, const FieldDescriptor* task,
                   std::vector<ReferenceField>* fields) {
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    const bool is_task = field->containing_type() == Experiment::descriptor() && field->containing_oneof() != nullptr;
    if (is_task && field != task) continue;
    ReferenceField entry{JoinPath(path, field->name()), field, {}};
    for (int j = 0; j < field->options().ExtensionSize(reference_key); ++j) {
      entry.keys.push_back(field->options().GetExtension(reference_key, j));
    }
    const std::string below = entry.path;
    if (!entry.keys.empty()) fields->push_back(std::move(entry));
    if (field->message_type() != nullptr && !field->is_repeated()) {
      CollectFields(field->message_type(), below, task, fields);
    }
  }
}

constexpr LeftOutKind kNotRead = LeftOutKind::kNotRead, kFixed = LeftOutKind::kFixed, kDerived = LeftOutKind::kDerived;
constexpr char kVae[] = "voxel_vae", kDiffusion[] = "voxel_diffusion", kReconstruction[] = "gaussian_reconstruction",
               kPanorama[] = "sky_panorama", kModulator[] = "sky_mlp_modulator";

constexpr char kIgnored[] = "accepted and ignored by the reference";
constexpr char kNoTest[] = "there is no third data set: its list is the validation list";
constexpr char kSplit[] = "follows from which of the two lists a clip is in";
constexpr char kShuffle[] = "an epoch is a keyed permutation of all clips and start frames";
constexpr char kComposition[] = "the reference's command line; its effect is in the other keys";
constexpr char kOneNetwork[] = "there is one network";
constexpr char kOneWay[] = "one way of working, the recipes'";
constexpr char kOff[] = "off in every recipe, and not built";
constexpr char kMemory[] = "saves memory; not part of the model";
constexpr char kVaeConfig[] = "a property of the VAE, which its own config states";
constexpr char kDepthImages[] = "no model reads depth images as input";
constexpr char kGridCondition[] = "nothing is conditioned on it in any recipe";

}  // namespace

std::vector<ReferenceField> ReferenceFields(Experiment::TaskCase task) {
  std::vector<ReferenceField> fields;
  CollectFields(Experiment::descriptor(), "", Experiment::descriptor()->FindFieldByNumber(task), &fields);
  return fields;
}

std::string ReferenceValue(const google::protobuf::EnumValueDescriptor& value) {
  const std::string own = value.options().GetExtension(reference_value);
  return own.empty() ? absl::AsciiStrToLower(value.name()) : own;
}

std::set<std::string> ActiveParts(const Experiment& experiment) {
  std::set<std::string> parts;
  if (const auto* task = Experiment::descriptor()->FindFieldByNumber(experiment.task_case())) {
    parts.insert(task->name());
  }
  const GaussianReconstruction& reconstruction = experiment.gaussian_reconstruction();
  if (const auto* sky = GaussianReconstruction::descriptor()->FindFieldByNumber(reconstruction.sky_case())) {
    parts.insert(sky->name());
  }
  return parts;
}

const std::vector<ReferenceDefault>& ReferenceDefaults() {
  static const auto* const defaults = new std::vector<ReferenceDefault>{
      // Of the data set's constructor.
      {"train_kwargs.attr_subfolders", "", "[\"image_front\"]", ""},
      {"train_kwargs.grid_crop_bbox_min", "", "[-10.24, -51.2, -12.8]", ""},
      {"train_kwargs.grid_crop_bbox_max", "", "[92.16, 51.2, 38.4]", ""},
      {"train_kwargs.grid_crop_augment", "", "false", "false"},
      {"train_kwargs.grid_crop_augment_range", "", "[12.8, 12.8, 3.2]", ""},
      {"train_kwargs.frame_start_num", "", "30", ""},
      {"train_kwargs.frame_end_num", "", "170", ""},
      {"train_kwargs.input_frame_offsets", "", "[0]", ""},
      {"train_kwargs.sup_frame_offsets", "", "[0]", ""},
      {"train_kwargs.input_slect_ids", "", "[0, 1, 2]", ""},
      {"train_kwargs.sup_slect_ids", "", "[0, 1, 2]", ""},
      {"train_kwargs.n_image_per_iter_sup", "", "null", "0"},
      {"train_kwargs.fvdb_grid_type", "", "\"vs01\"", ""},
      {"train_kwargs.replace_all_car_with_cad", "", "false", "false"},
      {"train_kwargs.map_types", "", "null", "[]"},

      // Of every model.
      {"grad_clip", "", "1000", ""},

      // The voxel VAE.
      {"enable_anneal", kVae, "", "false"},
      {"remain_h", kVae, "false", "false"},
      {"supervision.semantic_weight", kVae, "0", ""},
      {"supervision.adaptive_structure_weight", kVae, "false", "false"},
      {"network.unet.params.f_maps", kVae, "64", ""},
      {"network.unet.params.order", kVae, "\"gcr\"", ""},
      {"network.unet.params.pooling_level", kVae, "[]", ""},
      {"network.unet.params.neck_dense_type", kVae, "\"UNCHANGED\"", ""},
      {"network.unet.params.neck_bound", kVae, "[4, 4, 4]", ""},

      // The diffusion model.
      {"ema", kDiffusion, "false", "false"},
      {"use_ddim", kDiffusion, "false", "false"},
      {"scale_by_std", kDiffusion, "false", "false"},
      {"scale_factor", kDiffusion, "1", ""},
      {"num_inference_steps", kDiffusion, "1000", ""},
      {"conditioning_key", kDiffusion, "\"none\"", ""},
      {"use_pos_embed", kDiffusion, "false", "false"},
      {"use_pos_embed_high", kDiffusion, "false", "false"},
      {"use_map_3d_cond", kDiffusion, "false", "false"},
      {"use_box_3d_cond", kDiffusion, "false", "false"},
      {"use_classifier_free", kDiffusion, "false", "false"},
      {"classifier_free_prob", kDiffusion, "0.1", ""},
      {"network.diffuser.dims", kDiffusion, "2", ""},
      {"network.diffuser.channel_mult", kDiffusion, "[1, 2, 4, 8]", ""},
      {"network.diffuser.transformer_depth", kDiffusion, "1", ""},
      {"network.diffuser.use_scale_shift_norm", kDiffusion, "false", "false"},
      {"network.diffuser.resblock_updown", kDiffusion, "false", "false"},
      {"network.diffuser.middle_disable_first_sa", kDiffusion, "false", "false"},
      {"network.diffuser.middile_force_spatial_transformer", kDiffusion, "false", "false"},
      {"network.scheduler.num_train_timesteps", kDiffusion, "1000", ""},
      {"network.scheduler.beta_start", kDiffusion, "0.0001", ""},
      {"network.scheduler.beta_end", kDiffusion, "0.02", ""},
      {"network.scheduler.beta_schedule", kDiffusion, "\"linear\"", ""},
      {"network.scheduler.prediction_type", kDiffusion, "\"epsilon\"", ""},
      {"network.box_3d_cond_model.params.add_occupancy_flag", kDiffusion, "false", "false"},

      // The reconstruction model.
      {"backbone.params.use_3d", kReconstruction, "", "false"},
      {"backbone.params.use_2d", kReconstruction, "", "false"},
      {"backbone.params.pretrain_3d_branch_ckpt", kReconstruction, "\"\"", ""},
      {"backbone.params.pretrain_2d_branch_ckpt", kReconstruction, "\"\"", ""},
      {"backbone.params.backbone_3d_params.f_maps", kReconstruction, "64", ""},
      {"backbone.params.backbone_3d_params.occ_upsample", kReconstruction, "2", ""},
      {"backbone.params.backbone_3d_params.gsplat_upsample", kReconstruction, "1", ""},
      {"backbone.params.backbone_3d_params.max_scaling", kReconstruction, "0", ""},
      {"backbone.params.backbone_3d_params.gs_enhanced", kReconstruction, "\"None\"", ""},
      {"encoder.conv_params.n_residual_list", kReconstruction, "[false, false, false]", ""},
      {"encoder.conv_params.n_use_gn_list", kReconstruction, "[true, true, true]", ""},
      {"model_midground", kReconstruction, "", "false"},
      {"use_skybox", kReconstruction, "true", "false"},
      {"skybox_resolution", kPanorama, "1024", ""},
      {"skybox_forward_sky_only", kPanorama, "true", "false"},
      {"gsplat_params.rasterize_mode", kReconstruction, "\"classic\"", ""},
      {"gsplat_params.radius_clip", kReconstruction, "0", ""},
      {"supervision.render_weight", kReconstruction, "0", ""},
      {"supervision.depth_weight", kReconstruction, "0", ""},
      {"use_ssim_loss", kReconstruction, "false", "false"},
      {"perceptual_weight", kReconstruction, "0", ""},
      {"use_alex_metric", kReconstruction, "false", "false"},
      {"render_alpha", kReconstruction, "false", "false"},
      {"visualize_global_step", kReconstruction, "500", ""},
  };
  return *defaults;
}

const ReferenceDefault* FindReferenceDefault(std::string_view key, const std::set<std::string>& parts) {
  for (const ReferenceDefault& entry : ReferenceDefaults()) {
    if (entry.key == key && (entry.when[0] == '\0' || parts.count(entry.when) > 0)) return &entry;
  }
  return nullptr;
}

const std::vector<LeftOutKey>& LeftOutKeys() {
  static const auto* const keys = new std::vector<LeftOutKey>{
      // The run and its data.
      {"name", "", kNotRead, "", "the project's name at Weights & Biases; a run of ours is named after its recipe"},
      {"exec", "", kNotRead, "", kComposition},
      {"include", "", kNotRead, "", kComposition},
      {"visualize", "", kNotRead, "", "an interactive window of the reference's"},
      {"pin_memory", "", kNotRead, "", kIgnored},
      {"test_set_shuffle", "", kNotRead, "", kNoTest},
      {"test_dataset", "", kNotRead, "", kNoTest},
      {"test_num_workers", "", kNotRead, "", kNoTest},
      {"test_kwargs.*", "", kNotRead, "", kNoTest},
      {"use_fvdb_loader", "", kFixed, "true", "there is one kind of data set"},
      {"train_dataset", "", kFixed, "\"WaymoWdsDataset\"", "there is one kind of data set"},
      {"val_dataset", "", kFixed, "\"WaymoWdsDataset\"", "there is one kind of data set"},
      {"train_kwargs.split", "", kFixed, "\"train\"", kSplit},
      {"val_kwargs.split", "", kFixed, "\"val\"", kSplit},
      {"val_kwargs.frame_end_num", "", kNotRead, "", "validation starts at data.validation_start_frame only"},
      {"val_kwargs.frame_start_num", "", kNotRead, "", "validation starts at data.validation_start_frame only"},
      {"shuffle_buffer", "", kNotRead, "", kShuffle},
      {"train_kwargs.shuffle_buffer", "", kNotRead, "", kShuffle},
      {"_dino_slect_ids", "", kNotRead, "", kIgnored},
      {"_dino_data_root", "", kNotRead, "", kIgnored},
      {"train_kwargs.dino_slect_ids", "", kNotRead, "", kIgnored},
      {"train_kwargs.dino_data_root", "", kNotRead, "", kIgnored},
      {"_add_high_res_grid", "", kNotRead, "", kIgnored},
      {"train_kwargs.add_high_res_grid", "", kNotRead, "", kIgnored},
      {"add_road_line_to_GT", "", kNotRead, "", kIgnored},
      {"train_kwargs.add_road_line_to_GT", "", kNotRead, "", kIgnored},
      {"duplicate_num", "", kNotRead, "", kIgnored},
      {"resolution", "", kNotRead, "", kIgnored},
      {"input_depth_type", "", kNotRead, "", kDepthImages},
      {"train_kwargs.input_depth_type", "", kNotRead, "", kDepthImages},
      {"batch_size_val", "", kNotRead, "", "validation losses do not depend on how samples are batched"},
      {"log_image", "", kNotRead, "", "validation always makes a picture"},

      // The voxel VAE.
      {"use_hash_tree", kVae, kFixed, "false", "cannot go with levels that keep the height"},
      {"use_input_normal", kVae, kFixed, "false", "the scenes have no normals"},
      {"use_input_intensity", kVae, kFixed, "false", "the scenes have no intensities"},
      {"use_input_semantic", kVae, kFixed, "true", kOneWay},
      // Its constructor adds these, so that checkpoints have them.
      {"use_input_color", kVae, kFixed, "false", kOff},
      {"with_color_branch", kVae, kFixed, "false", kOff},
      {"supervision.color_weight", kVae, kFixed, "0", kOff},
      {"with_normal_branch", kVae, kFixed, "false", kOff},
      {"with_semantic_branch", kVae, kDerived, "", "whether supervision.semantic_weight is above 0"},
      {"remain_h", kVae, kDerived, "", "some level of voxel_vae.pool_height_levels keeps the height, or none"},
      {"normalize_kld", kVae, kFixed, "true", kOneWay},
      {"pretrained_weight", kVae, kFixed, "null", "train --init_from takes weights"},
      {"supervision.normal_weight", kVae, kFixed, "0", "the scenes have no normals"},
      {"network.unet.target", kVae, kFixed, "\"StructPredictionNet\"", kOneNetwork},
      {"network.unet.params.neck_dense_type", kVae, kFixed, "\"HAND_CRAFTED\"", kOneWay},
      {"network.unet.params.num_res_blocks", kVae, kFixed, "1", kOneWay},
      {"network.unet.params.use_residual", kVae, kFixed, "true", kOneWay},
      {"network.unet.params.order", kVae, kFixed, "\"gcs\"", kOneWay},
      {"network.unet.params.is_add_dec", kVae, kFixed, "true", kOneWay},
      {"network.unet.params.use_attention", kVae, kFixed, "false", kOff},
      {"network.unet.params.use_checkpoint", kVae, kNotRead, "", kMemory},

      // The diffusion model.
      {"use_input_normal", kDiffusion, kNotRead, "", kVaeConfig},
      {"use_input_semantic", kDiffusion, kNotRead, "", kVaeConfig},
      {"use_input_intensity", kDiffusion, kNotRead, "", kVaeConfig},
      {"num_semantic", kDiffusion, kNotRead, "", kVaeConfig},
      {"dim_semantic", kDiffusion, kNotRead, "", kVaeConfig},
      {"network.diffuser_name", kDiffusion, kFixed, "\"UNetModel_Dense\"", kOneNetwork},
      {"network.diffuser.dims", kDiffusion, kFixed, "3", kOneNetwork},
      {"network.diffuser.image_size", kDiffusion, kNotRead, "", kIgnored},
      {"network.diffuser.dropout", kDiffusion, kFixed, "0", kOff},
      {"network.diffuser.num_head_channels", kDiffusion, kFixed, "-1", kOff},
      {"network.diffuser.use_scale_shift_norm", kDiffusion, kFixed, "true", kOneWay},
      {"network.diffuser.resblock_updown", kDiffusion, kFixed, "true", kOneWay},
      {"network.diffuser.middle_disable_first_sa", kDiffusion, kFixed, "true", kOneWay},
      {"network.diffuser.middile_force_spatial_transformer", kDiffusion, kFixed, "true", kOneWay},
      {"network.diffuser.use_spatial_transformer", kDiffusion, kFixed, "false", kOff},
      {"network.diffuser.use_checkpoint", kDiffusion, kNotRead, "", kMemory},
      {"network.scheduler.variance_type", kDiffusion, kFixed, "\"fixed_small\"", kOneWay},
      {"network.scheduler.clip_sample", kDiffusion, kNotRead, "", kIgnored},
      {"network.map_3d_cond_model.target", kDiffusion, kFixed, "\"MapEncoder\"", kOneWay},
      {"network.map_3d_cond_model.params.use_embedding", kDiffusion, kFixed, "false", kOff},
      {"network.map_3d_cond_model.params.embedding_dim", kDiffusion, kNotRead, "", "read only with use_embedding"},
      {"network.box_3d_cond_model.target", kDiffusion, kFixed, "\"Box3dEncoder\"", kOneWay},
      {"conditioning_key", kDiffusion, kFixed, "\"concat_scube_general\"", "conditions are concatenated channels"},
      {"use_pos_embed_world", kDiffusion, kFixed, "false", kOff},
      {"use_pos_embed_world_high", kDiffusion, kFixed, "false", kOff},
      {"use_text_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_class_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_micro_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_mask_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_point_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_semantic_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_normal_concat_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_single_scan_concat_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_image_w_depth_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_image_lss_cond", kDiffusion, kFixed, "false", kGridCondition},
      {"use_noise_offset", kDiffusion, kFixed, "false", kOff},
      {"finetune_vae_decoder", kDiffusion, kFixed, "false", "the VAE stays as it is"},
      {"pretrained_model_name_or_path", kDiffusion, kFixed, "null", "train --init_from takes weights"},
      {"ignore_mismatched_size", kDiffusion, kNotRead, "", "train --init_from reports what does not fit"},

      // The reconstruction model.
      {"tree_depth", kReconstruction, kNotRead, "", kIgnored},
      {"voxel_size", kReconstruction, kNotRead, "", kIgnored},
      {"voxel_maximum", kReconstruction, kNotRead, "", kIgnored},
      {"render_background", kReconstruction, kNotRead, "", kIgnored},
      {"use_input_color", kReconstruction, kNotRead, "", kIgnored},
      {"gs_free_space", kReconstruction, kNotRead, "", kIgnored},
      {"gsplat_upsample", kReconstruction, kNotRead, "", kIgnored},
      {"render_target_is_object", kReconstruction, kNotRead, "", kIgnored},
      {"render_alpha", kReconstruction, kFixed, "true", "gaussian_reconstruction.loss.alpha_weight says how much"},
      {"gt_alpha_from", kReconstruction, kNotRead, "", kIgnored},
      {"skybox_type", kReconstruction, kNotRead, "", kIgnored},
      {"pixel_loss", kReconstruction, kFixed, "\"l1\"", kOneWay},
      {"supervision.structure_weight", kReconstruction, kNotRead, "", kIgnored},
      {"keep_surface_voxel", kReconstruction, kNotRead, "", kIgnored},
      {"keep_surface_voxels", kReconstruction, kFixed, "false", kOff},
      {"clip_input_grid", kReconstruction, kFixed, "false", kOff},
      {"coarsen_input_grid", kReconstruction, kFixed, "false", kOff},
      {"use_high_res_grid_for_alpha_mask", kReconstruction, kFixed, "false", kOff},
      {"log_gaussian_stats", kReconstruction, kNotRead, "", "they are always logged"},
      {"use_checkpoint", kReconstruction, kNotRead, "", kMemory},
      {"only_sup_foreground", kReconstruction, kFixed, "false", kOff},
      {"rasterizing_downsample", kReconstruction, kFixed, "1", kOff},
      {"renderer.target", kReconstruction, kFixed, "\"RGBRenderer\"", kOneWay},
      {"with_render_branch", kReconstruction, kDerived, "", "whether supervision.render_weight is above 0"},
      {"use_sup_depth", kReconstruction, kDerived, "", "whether supervision.depth_weight is above 0"},
      {"gsplat_params.absgrad", kReconstruction, kFixed, "false", kOff},
      {"gsplat_params.force_float32", kReconstruction, kFixed, "true", "the renderer computes in single precision"},
      {"sup_depth_type", kReconstruction, kFixed, "\"voxel_depth\"", "depth is compared with the voxel grid's"},
      {"backbone.target", kReconstruction, kFixed, "\"DualBranchUNet\"", kOneNetwork},
      {"backbone.params.backbone_3d_target", kReconstruction, kFixed, "\"Pure3DUnet\"", kOneNetwork},
      {"backbone.params.backbone_3d_params.lifter_params.img_feature_source", kReconstruction, kFixed, "\"conv\"",
       "voxels read features of convolution_encoder"},
      {"backbone.params.backbone_3d_params.img_feature_source", kReconstruction, kFixed, "\"conv\"",
       "voxels read features of convolution_encoder"},
      {"backbone.params.backbone_3d_params.neck_dense_type", kReconstruction, kFixed, "\"UNCHANGED\"", kOneWay},
      {"backbone.params.backbone_3d_params.neck_bound", kReconstruction, kNotRead, "", kIgnored},
      {"backbone.params.backbone_3d_params.use_attention", kReconstruction, kFixed, "false", kOff},
      {"backbone.params.backbone_3d_params.gs_enhanced", kReconstruction, kFixed, "\"original\"", kOneWay},
      {"backbone.params.backbone_3d_params.gs_free_space", kReconstruction, kFixed, "\"hard\"",
       "a Gaussian's centre stays in its voxel"},
      {"backbone.params.backbone_3d_params.max_return", kReconstruction, kFixed, "1", kOneWay},
      {"backbone.params.backbone_3d_params.feature_pooling_2d", kReconstruction, kFixed, "\"max\"", kOneWay},
      {"backbone.params.backbone_2d_params.interpret_output_depth", kReconstruction, kFixed, "\"weight\"", kOneWay},
      {"backbone.params.backbone_2d_params.feature_source", kReconstruction, kFixed, "\"original_rgb\"", kOneWay},
      {"backbone.params.backbone_2d_params.gs_dim", kReconstruction, kFixed, "12", kOneWay},
      {"backbone.params.backbone_2d_params.unet2d_params.channels", kReconstruction, kDerived, "",
       "colours, and what gaussian_reconstruction.pixel_branch.depth_priors adds"},
      {"backbone.params.backbone_2d_params.unet2d_params.out_dim", kReconstruction, kDerived, "",
       "12 a Gaussian: gaussian_reconstruction.pixel_branch.gaussians_per_pixel"},
      {"backbone.params.backbone_2d_params.unet2d_params.num_self_attn_per_stage", kReconstruction, kFixed, "every 0",
       kOff},
      {"backbone.params.backbone_2d_params.unet2d_params.consolidate_upsample_fmaps", kReconstruction, kFixed, "true",
       kOneWay},
      {"encoder.resize_projection_input", kReconstruction, kFixed, "false", kOff},
      {"encoder.encoder_modules", kReconstruction, kDerived, "", "those that branch, depth_priors and sky read"},
      {"encoder.conv_params.n_stride_list", kReconstruction, kFixed, "every 1", kOneWay},
      {"encoder.conv_params.n_kernel_list", kReconstruction, kFixed, "every 3", kOneWay},
      {"encoder.conv_params.n_padding_list", kReconstruction, kFixed, "every 1", kOneWay},
      {"encoder.conv_params.n_residual_list", kReconstruction, kFixed, "first false, then true", kOneWay},
      {"encoder.conv_params.n_use_gn_list", kReconstruction, kFixed, "every false", kOff},
      {"encoder.dav2_params.model_freeze", kReconstruction, kNotRead, "",
       "it is never trained, in the reference neither"},
      {"encoder.dav2_params.out_upsample_list", kReconstruction, kFixed, "every true", kOneWay},
      {"encoder.dav2_params.out_downsample_list", kReconstruction, kFixed, "every false", kOff},
      {"encoder.dav2_params.out_use_gn_list", kReconstruction, kFixed, "every false", kOff},
      {"use_skybox", kReconstruction, kDerived, "", "one of gaussian_reconstruction's skies is set, or none"},
      {"skybox_net", kPanorama, kFixed, "\"res-up4x-decode-3\"", kOneNetwork},
      {"skybox_feature_source", kPanorama, kFixed, "\"conv\"", "the panorama reads features of convolution_encoder"},
      {"skybox_mlp_modulator.*", kPanorama, kNotRead, "", "only the other sky reads it"},
      {"skybox_net", kModulator, kNotRead, "", "only the other sky reads it"},
      {"skybox_in_dim", kModulator, kNotRead, "", "only the other sky reads it"},
      {"skybox_resolution", kModulator, kNotRead, "", "only the other sky reads it"},
      {"skybox_forward_sky_only", kModulator, kNotRead, "", "only the other sky reads it"},
      {"skybox_feature_source", kModulator, kFixed, "\"original_rgb\"", "its tokens are patches of the images"},
      {"skybox_mlp_modulator.out_channels", kModulator, kFixed, "3", kOneWay},
      {"skybox_mlp_modulator.sky_token_encoding_type", kModulator, kFixed, "\"transformer\"", kOneWay},
      {"skybox_mlp_modulator.sky_image_embedder_type", kModulator, kFixed, "\"mlp\"", kOneWay},
      {"skybox_mlp_modulator.modulator_pos_embedding", kModulator, kFixed, "\"mlp\"", kOneWay},
      {"skybox_mlp_modulator.transformer.activation", kModulator, kFixed, "\"gelu\"", kOneWay},
  };
  return *keys;
}

const LeftOutKey* FindLeftOutKey(std::string_view key, const std::set<std::string>& parts) {
  const absl::string_view name(key.data(), key.size());
  for (const LeftOutKey& entry : LeftOutKeys()) {
    if (entry.when[0] != '\0' && parts.count(entry.when) == 0) continue;
    absl::string_view pattern = entry.key;
    const bool below = absl::ConsumeSuffix(&pattern, ".*");
    if (below ? absl::StartsWith(name, absl::string_view(entry.key, pattern.size() + 1)) : name == pattern) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace cubist
