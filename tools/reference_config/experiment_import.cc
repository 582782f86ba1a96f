// What the two spell differently; everything else is the value of a field that names its key.
//
//   model                             which of the models is set; gsm: backbone.params.use_3d and use_2d are the branch
//   use_skybox, skybox_target         which of the skies is set
//   optimizer                         "Adam" is AdamW with AMSGrad
//   learning_rate.decay_step          counts samples: samples_per_step is batch_size * accumulate_grad_batches, and 1
//                                     for the diffusion model
//   *_grid_type, *_voxel_size_goal    "vs02" is 0.2 m
//   wds_root_url                      without a slash at its end
//   wds_scene_list_file               from assets_root on: what follows "assets/"
//   *_slect_ids, *_n_image_per_iter_sup  only where attributes name images
//   pooling_level                     empty: all levels
//   enable_anneal                     sets kl_anneal in place of kl_weight
//   vae_config                        the recipe of that name
//   cube_bbox_size                    the same on all three axes
//   ema, ema_decay                    a decay of 0 is none; read by the diffusion model only
//   use_classifier_free, ..._prob     a probability of 0 is none
//   use_pos_embed, use_pos_embed_high one of three kinds of positions
//   use_ddim                          false: DDPM
//   use_ssim_loss                     a fifth of the difference of colours, or none of it
//   encoder.conv_params.n_filter_list begins with the three channels of the image
//   pretrain_*_ckpt                   '' is none
//   (not in the config)               the trained networks that the reference downloads: files in checkpoints/
#include "tools/reference_config/experiment_import.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"
#include "configs/proto/field_options.pb.h"
#include "configs/reference_keys.h"
#include "configs/scene_attributes.h"
#include "tools/reference_config/field_writer.h"
#include "tools/reference_config/key_suggestion.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = YamlValue::Kind;

constexpr char kNoSuchFeature[] = "Cubist has no such feature";

// A value that no field can have, though its type is right.
struct NotSupported {
  std::string reason;
};

// What a conversion makes of a value: the value to write, nothing (the field stays as it is), or a reason.
struct Conversion {
  std::optional<YamlValue> value;
  std::optional<NotSupported> not_supported;
};

Conversion Write(YamlValue value) { return {std::move(value), std::nullopt}; }
Conversion Nothing() { return {}; }
Conversion Unsupported(std::string reason = kNoSuchFeature) { return {std::nullopt, NotSupported{std::move(reason)}}; }

YamlValue At(const YamlValue& place, Kind kind) {
  YamlValue value;
  value.kind = kind;
  value.place = place.place;
  return value;
}
YamlValue Text(const YamlValue& source, std::string text) {
  YamlValue value = At(source, Kind::kText);
  value.text = std::move(text);
  return value;
}
YamlValue Number(const YamlValue& source, double number) {
  YamlValue value = At(source, Kind::kFloat);
  value.number = number;
  return value;
}
YamlValue Bool(const YamlValue& source, bool boolean) {
  YamlValue value = At(source, Kind::kBool);
  value.boolean = boolean;
  return value;
}

class Importer {
 public:
  Importer(const YamlValue& config, const std::string& name) : config_(config) { imported_.experiment.set_name(name); }

  absl::StatusOr<ImportedExperiment> Import() {
    RETURN_IF_ERROR(ChooseModel());
    parts_ = ActiveParts(imported_.experiment);
    RETURN_IF_ERROR(ReadSwitches());
    const std::vector<ReferenceField> fields = ReferenceFields(imported_.experiment.task_case());
    for (const ReferenceField& field : fields) RETURN_IF_ERROR(ImportField(field));
    // Which of the other fields are read at all depends on these.
    for (const ReferenceField& field : fields) RETURN_IF_ERROR(ImportAbsentField(field));
    PoolAllHeights();
    RETURN_IF_ERROR(CountSamples());
    known_keys_ = KnownKeys(fields);
    ListLeftovers(config_, "");
    ListAbsentLeftovers();
    ExplainNulls();
    NameTrainedNetworks();
    ClearDefaults(&imported_.experiment);
    return std::move(imported_);
  }

 private:
  Experiment& experiment() { return imported_.experiment; }

  // The value at "a.b"; null if there is none.
  const YamlValue* Find(const std::string& key) const {
    const YamlValue* value = &config_;
    for (const absl::string_view part : absl::StrSplit(key, '.')) {
      if (value == nullptr || !value->is(Kind::kMap)) return nullptr;
      value = value->Find(std::string_view(part.data(), part.size()));
    }
    return value;
  }

  static YamlValue FromTable(const char* json, const YamlPlace& place) {
    absl::StatusOr<YamlValue> value = ParseYamlAt(json, place);
    return value.ok() ? *std::move(value) : YamlValue();
  }

  // What the reference takes for `key`, which is not there.
  std::optional<YamlValue> AbsentValue(const std::string& key) const {
    const ReferenceDefault* known = FindReferenceDefault(key, parts_);
    if (known == nullptr || known->absent[0] == '\0') return std::nullopt;
    const size_t dot = key.rfind('.');
    const std::string above = dot == std::string::npos ? "" : key.substr(0, dot);
    // All that is in gsplat_params can be left out together.
    if (!above.empty() && above != "gsplat_params" && Find(above) == nullptr) return std::nullopt;
    return FromTable(known->absent, {});
  }

  void Assume(const std::string& key, const YamlValue& value) {
    if (!assumed_.insert(key).second) return;
    imported_.remarks.push_back(absl::StrCat("assumed: ", key, " is not there; the reference takes ", JsonText(value)));
  }

  // What `null`, the value at `key`, is as good as.
  std::optional<YamlValue> NullValue(const std::string& key, const YamlValue& null) const {
    const ReferenceDefault* known = FindReferenceDefault(key, parts_);
    if (known == nullptr || known->null[0] == '\0') return std::nullopt;
    return FromTable(known->null, null.place);
  }

  // A switch; its key need not be there.
  absl::StatusOr<bool> BoolAt(const std::string& key) {
    const YamlValue* found = Find(key);
    std::optional<YamlValue> other;
    if (found == nullptr) {
      other = AbsentValue(key);
      if (other.has_value()) {
        Assume(key, *other);
      } else {
        if (assumed_.insert(key).second) LeaveAbsent(key, true, "the reference needs it; here it is false");
        return false;
      }
    } else if (found->is(Kind::kNull)) {
      other = NullValue(key, *found);
    }
    const YamlValue& value = other.has_value() ? *other : *found;
    if (!value.is(Kind::kBool)) return WrongType(key, value, "true or false");
    return value.boolean;
  }

  void LeaveAbsent(const std::string& key, bool has_effect, std::string reason) {
    imported_.leftovers.push_back({key, "", {}, has_effect, std::move(reason)});
  }

  void Leave(const std::string& key, const YamlValue& value, bool has_effect, std::string reason) {
    handled_.insert(key);
    imported_.leftovers.push_back({key, JsonText(value), value.place, has_effect, std::move(reason)});
  }

  // A key at the top without which nothing can be made.
  absl::Status MissingKey(const std::string& key, absl::string_view what) const {
    std::vector<std::string> keys;
    for (const YamlValue::Entry& entry : config_.entries) keys.push_back(entry.first);
    const std::string nearest = NearestWord(key, keys);
    return YamlError(config_.place,
                     absl::StrCat("there is no key \"", key, "\" (", what, "), neither here nor in what is included",
                                  nearest.empty() ? ""
                                                  : absl::StrCat("; should \"", nearest, "\" (",
                                                                 PlaceText(config_.Find(nearest)->place), ") be it?")));
  }

  absl::Status ChooseModel() {
    const YamlValue* model = Find("model");
    if (model == nullptr) {
      return MissingKey("model", "autoencoder, diffusion or gsm");
    }
    handled_.insert("model");
    if (model->text == "autoencoder") {
      experiment().mutable_voxel_vae();
    } else if (model->text == "diffusion") {
      experiment().mutable_voxel_diffusion();
    } else if (model->text == "gsm") {
      return ChooseReconstruction();
    } else {
      return WrongType("model", *model, "autoencoder, diffusion or gsm");
    }
    return absl::OkStatus();
  }

  absl::Status ChooseReconstruction() {
    GaussianReconstruction& model = *experiment().mutable_gaussian_reconstruction();
    parts_ = ActiveParts(imported_.experiment);
    const std::string voxel_key = "backbone.params.use_3d", pixel_key = "backbone.params.use_2d";
    ASSIGN_OR_RETURN(const bool voxel, BoolAt(voxel_key));
    ASSIGN_OR_RETURN(const bool pixel, BoolAt(pixel_key));
    if (!voxel && !pixel) {
      const YamlValue* stated = Find(voxel_key) != nullptr ? Find(voxel_key) : Find(pixel_key);
      return YamlError(stated != nullptr ? stated->place : config_.place,
                       absl::StrCat("neither ", voxel_key, " nor ", pixel_key, " is true"));
    }
    model.set_branch(voxel && pixel ? GaussianReconstruction::DUAL
                     : voxel        ? GaussianReconstruction::VOXEL
                                    : GaussianReconstruction::PIXEL);
    handled_.insert({voxel_key, pixel_key, "use_skybox", "skybox_target"});
    ASSIGN_OR_RETURN(const bool sky, BoolAt("use_skybox"));
    const YamlValue* target = Find("skybox_target");
    if (!sky) {
      if (target != nullptr) Leave("skybox_target", *target, false, "use_skybox is false");
    } else if (target == nullptr) {
      return MissingKey("skybox_target", "panorama_full or mlp_modulator, needed unless use_skybox is false");
    } else if (target->text == "panorama_full") {
      model.mutable_sky_panorama();
    } else if (target->text == "mlp_modulator") {
      model.mutable_sky_mlp_modulator();
    } else {
      Leave("skybox_target", *target, true, kNoSuchFeature);
    }
    return absl::OkStatus();
  }

  // Whether the field is part of an alternative that was not chosen.
  bool IsOfAnotherAlternative(const std::string& path) const {
    const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
    const Message* message = &imported_.experiment;
    for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
      const FieldDescriptor* field = resolved.fields[i];
      if (field->containing_oneof() != nullptr && !message->GetReflection()->HasField(*message, field)) return true;
      message = &message->GetReflection()->GetMessage(*message, field);
    }
    return false;
  }

  // Those that decide whether other keys are read.
  absl::Status ReadSwitches() {
    if (experiment().has_voxel_vae()) {
      handled_.insert("enable_anneal");
      ASSIGN_OR_RETURN(const bool anneal, BoolAt("enable_anneal"));
      if (anneal) experiment().mutable_voxel_vae()->mutable_kl_anneal();
    }
    if (experiment().has_voxel_diffusion()) {
      handled_.insert({"ema", "use_classifier_free"});
      ASSIGN_OR_RETURN(ema_, BoolAt("ema"));
      ASSIGN_OR_RETURN(classifier_free_, BoolAt("use_classifier_free"));
      if (!classifier_free_) {
        experiment().mutable_voxel_diffusion()->mutable_conditions()->set_classifier_free_probability(0);
      }
    }
    return absl::OkStatus();
  }

  // Why the reference does not read the keys of the field, by what is chosen; "" if it does.
  std::string WhyUnused(const std::string& path) const {
    const Experiment& chosen = imported_.experiment;
    if (IsOfAnotherAlternative(path)) return absl::StrCat("read only with ", path.substr(0, path.rfind('.')));
    if (path == "voxel_vae.kl_weight" && chosen.voxel_vae().has_kl_anneal()) return "read only without enable_anneal";
    if (path == "ema.decay" && !chosen.has_voxel_diffusion()) return "read only with model diffusion";
    if (path == "ema.decay" && !ema_) return "read only with ema";
    if (path == "voxel_diffusion.conditions.classifier_free_probability" && !classifier_free_) {
      return "read only with use_classifier_free";
    }
    const bool of_images =
        path == "data.input_views" || path == "data.supervision_views" || path == "data.supervision_images_per_sample";
    if (of_images && !HasAttributeOfKind(chosen.data(), kImageKind)) return "read only with images";
    return "";
  }

  // The same by the values of other fields; these must be there.
  bool IsRead(const std::string& path) const {
    if (!WhyUnused(path).empty()) return false;
    const Experiment& chosen = imported_.experiment;
    const GaussianReconstruction& model = chosen.gaussian_reconstruction();
    const DiffusionConditions& conditions = chosen.voxel_diffusion().conditions();
    const auto is_of = [&path](absl::string_view part) {
      return absl::StartsWith(path, absl::StrCat("gaussian_reconstruction.", part));
    };
    if (path == "data.crop_jitter_range") return chosen.data().crop_jitter();
    if (path == "logging.picture_interval_steps") return chosen.has_gaussian_reconstruction();
    if (path == "voxel_diffusion.latent_scale") return !chosen.voxel_diffusion().scale_latents_by_std();
    if (path == "voxel_diffusion.latent_size") return conditions.maps() || conditions.boxes();
    if (path == "voxel_diffusion.conditions.box_occupancy") return conditions.boxes();
    if (is_of("convolution_encoder.")) {
      return model.branch() != GaussianReconstruction::PIXEL || model.has_sky_panorama();
    }
    if (is_of("depth_anything.")) return HasDepthPrior(PixelBranch::DEPTH_ANYTHING_FEATURE);
    if (is_of("voxel_branch.")) return model.branch() != GaussianReconstruction::PIXEL;
    if (is_of("pixel_branch.mask_")) return HasDepthPrior(PixelBranch::MASKED_VOXEL_DEPTH);
    if (is_of("pixel_branch.")) return model.branch() != GaussianReconstruction::VOXEL;
    if (is_of("loss.perceptual_start") || is_of("loss.perceptual_height")) return model.loss().perceptual_weight() > 0;
    if (is_of("loss.depth_format")) return model.loss().depth_weight() > 0;
    if (is_of("loss.depth_near") || is_of("loss.depth_far")) {
      return model.loss().depth_weight() > 0 && model.loss().depth_format() == ReconstructionLoss::NORMALIZED_L1;
    }
    return true;
  }

  bool HasDepthPrior(PixelBranch::DepthPrior prior) const {
    const GaussianReconstruction& model = imported_.experiment.gaussian_reconstruction();
    const auto& priors = model.pixel_branch().depth_priors();
    return model.branch() != GaussianReconstruction::VOXEL && std::count(priors.begin(), priors.end(), prior) > 0;
  }

  // From those of the field's keys that are there. Without its first key, which the reference reads, but with another,
  // it has what the reference takes then.
  absl::Status ImportField(const ReferenceField& field) {
    const std::string unused = WhyUnused(field.path);
    const auto is_there = [this](const std::string& key) { return Find(key) != nullptr; };
    const bool any = std::any_of(field.keys.begin(), field.keys.end(), is_there);
    std::string source;  // the key that the field's value is from
    for (const std::string& key : field.keys) {
      if (handled_.count(key) > 0 || FindLeftOutKey(key, parts_) != nullptr) continue;
      const YamlValue* value = Find(key);
      std::optional<YamlValue> other;
      if (value == nullptr && any && key == field.keys[0]) other = AbsentValue(key);
      const bool assumed = other.has_value();
      if (value == nullptr && !assumed) continue;
      if (!unused.empty()) {
        if (!assumed) Leave(key, *value, false, unused);
        continue;
      }
      settled_.insert(field.path);
      if (const YamlValue& stated = assumed ? *other : *value; stated.is(Kind::kNull)) {
        other = NullValue(field.keys[0], stated);
        if (!other.has_value()) {
          nulls_.emplace_back(imported_.leftovers.size(), field.path);
          Leave(key, *value, true, "null");
          continue;
        }
      }
      const YamlValue& taken = other.has_value() ? *other : *value;
      ASSIGN_OR_RETURN(const Conversion conversion, Convert(field.path, key, taken));
      if (conversion.not_supported.has_value()) {
        Leave(key, taken, true, conversion.not_supported->reason);
        continue;
      }
      handled_.insert(key);
      if (!conversion.value.has_value()) continue;
      Experiment scratch;
      ASSIGN_OR_RETURN(const bool written, WriteField(field.path, key, *conversion.value, &scratch));
      if (!written) {
        Leave(key, taken, true, kNoSuchFeature);
      } else if (source.empty()) {
        RETURN_IF_ERROR(WriteField(field.path, key, *conversion.value, &experiment()).status());
        imported_.origins[field.path] = {key, taken.place};
        source = key;
        if (assumed) Assume(key, *AbsentValue(key));
      } else if (FieldText(scratch, field.path) != FieldText(imported_.experiment, field.path)) {
        Leave(key, taken, false, absl::StrCat("the reference's training reads ", source));
      }
    }
    return absl::OkStatus();
  }

  // None of the field's keys is there: what the reference takes then.
  absl::Status ImportAbsentField(const ReferenceField& field) {
    const std::string& key = field.keys[0];
    if (settled_.count(field.path) > 0 || field.field->message_type() != nullptr || handled_.count(key) > 0 ||
        FindLeftOutKey(key, parts_) != nullptr || !IsRead(field.path)) {
      return absl::OkStatus();
    }
    const std::optional<YamlValue> absent = AbsentValue(key);
    if (!absent.has_value()) {
      const bool has_effect = field.field->options().GetExtension(on_resume) != FREE;
      LeaveAbsent(key, has_effect,
                  absl::StrCat("the reference needs it; here it is ", FieldText(imported_.experiment, field.path)));
      return absl::OkStatus();
    }
    const std::optional<YamlValue> meant = absent->is(Kind::kNull) ? NullValue(key, *absent) : absent;
    ASSIGN_OR_RETURN(const Conversion conversion, Convert(field.path, key, meant.value_or(*absent)));
    bool written = false;
    if (conversion.value.has_value()) {
      ASSIGN_OR_RETURN(written, WriteField(field.path, key, *conversion.value, &experiment()));
      if (written) imported_.origins[field.path] = {key, {}};
      if (written) Assume(key, *absent);
    }
    if (conversion.not_supported.has_value() || (conversion.value.has_value() && !written)) {
      LeaveAbsent(key, true,
                  absl::StrCat("the reference takes ", JsonText(*absent), "; here it is ",
                               FieldText(imported_.experiment, field.path)));
    }
    return absl::OkStatus();
  }

  // Keys without a field for which the reference takes something else than what Cubist always does.
  void ListAbsentLeftovers() {
    for (const ReferenceDefault& entry : ReferenceDefaults()) {
      const LeftOutKey* known = FindLeftOutKey(entry.key, parts_);
      const bool of_voxels = absl::StartsWith(entry.key, "backbone.params.backbone_3d_params.");
      if (known == nullptr || FindReferenceDefault(entry.key, parts_) != &entry || Find(entry.key) != nullptr ||
          handled_.count(entry.key) > 0 || (of_voxels && !IsRead("gaussian_reconstruction.voxel_branch.")) ||
          (absl::StartsWith(entry.key, "encoder.conv_params.") &&
           !IsRead("gaussian_reconstruction.convolution_encoder."))) {
        continue;
      }
      const std::optional<YamlValue> absent = AbsentValue(entry.key);
      if (!absent.has_value()) continue;
      const std::string difference = DifferenceOf(*known, entry.key, *absent);
      if (!difference.empty()) {
        LeaveAbsent(entry.key, true, absl::StrCat("the reference takes ", entry.absent, difference));
      }
    }
  }

  void ExplainNulls() {
    for (const auto& [leftover, path] : nulls_) {
      imported_.leftovers[leftover].reason =
          absl::StrCat("null stands for nothing; here it is ", FieldText(imported_.experiment, path));
    }
  }

  // The value at `key` as the field at `path` takes it.
  absl::StatusOr<Conversion> Convert(const std::string& path, const std::string& key, const YamlValue& value) {
    if (value.is(Kind::kText) && value.text == "???") return Unsupported("nobody gave it a value");
    const auto ends = [&key](absl::string_view end) { return absl::EndsWith(key, end); };
    if (path == "optimizer.amsgrad") return value.text == "Adam" ? Write(Bool(value, true)) : Unsupported();
    if (path == "data.voxel_size" && value.is(Kind::kText)) {
      int tenths = 0;
      absl::string_view digits = value.text;
      if (!absl::ConsumePrefix(&digits, "vs") || !absl::SimpleAtoi(digits, &tenths)) return Unsupported();
      return Write(Number(value, tenths / 10.0));
    }
    if (path == "data.voxel_size" && value.is(Kind::kList)) {
      // The reference's VAE replaces its number by one an axis, and so it stands in checkpoints.
      const bool equal = std::all_of(value.elements.begin(), value.elements.end(), [&](const YamlValue& element) {
        return JsonText(element) == JsonText(value.elements[0]);
      });
      if (value.elements.size() != 3 || !equal) return Unsupported("voxels are cubes");
      return Write(value.elements[0]);
    }
    if (path == "data.data_root" && value.is(Kind::kText)) {
      std::string folder = value.text;
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
      return Write(Text(value, folder));
    }
    if (ends("wds_scene_list_file") && value.is(Kind::kText)) {
      if (!absl::EndsWith(value.text, ".json")) return Unsupported("one clip: data.train_clips and validation_clips");
      const size_t assets = value.text.rfind("assets/");
      return Write(Text(value, assets == std::string::npos ? value.text : value.text.substr(assets + 7)));
    }
    if (path == "voxel_diffusion.vae.config" && value.is(Kind::kText)) {
      return Write(Text(
          value, absl::StrCat("configs/recipes/", std::filesystem::path(value.text).stem().string(), ".textproto")));
    }
    if (ends("cube_bbox_size") && value.is(Kind::kInteger)) {
      YamlValue sizes = At(value, Kind::kList);
      sizes.elements = {value, value, value};
      return Write(std::move(sizes));
    }
    if (path == "voxel_diffusion.conditions.positions") {
      ASSIGN_OR_RETURN(const bool index, BoolAt("use_pos_embed"));
      ASSIGN_OR_RETURN(const bool sines, BoolAt("use_pos_embed_high"));
      if (index && sines) return Unsupported("one kind of positions at a time");
      return Write(Text(value, index ? "cell_index" : sines ? "sinusoidal" : "none"));
    }
    if (path == "voxel_diffusion.sampler.kind") {
      if (!value.is(Kind::kBool)) return WrongType(key, value, "true or false");
      return Write(Text(value, value.boolean ? "ddim" : "ddpm"));
    }
    if (path == "gaussian_reconstruction.loss.ssim_fraction") {
      if (!value.is(Kind::kBool)) return WrongType(key, value, "true or false");
      return Write(Number(value, value.boolean ? 0.2 : 0));
    }
    if (path == "gaussian_reconstruction.convolution_encoder.channels" && value.is(Kind::kList)) {
      YamlValue channels = value;
      if (channels.elements.size() < 2 || channels.elements[0].integer != 3) return Unsupported();
      channels.elements.erase(channels.elements.begin());
      return Write(std::move(channels));
    }
    if (ends("branch_ckpt") && value.is(Kind::kText) && value.text.empty()) return Nothing();
    return Write(value);
  }

  absl::Status CountSamples() {
    if (experiment().has_voxel_diffusion()) return absl::OkStatus();
    const Batch& batch = experiment().batch();
    const int64_t samples = int64_t{batch.per_gpu()} * batch.accumulate();
    if (samples < 1 || samples > std::numeric_limits<int32_t>::max()) return absl::OkStatus();  // the loader says so
    experiment().mutable_learning_rate()->set_samples_per_step(static_cast<int32_t>(samples));
    return absl::OkStatus();
  }

  // Without a list, every level halves the height.
  void PoolAllHeights() {
    if (!experiment().has_voxel_vae() || experiment().voxel_vae().pool_height_levels_size() > 0) return;
    VoxelVae& vae = *experiment().mutable_voxel_vae();
    for (int level = 1; level < vae.num_levels(); ++level) vae.add_pool_height_levels(level);
  }

  // Keys of configs about the same: of fields, of those that none carries, and what is handled until here.
  std::vector<std::string> KnownKeys(const std::vector<ReferenceField>& fields) const {
    std::set<std::string> keys = handled_;
    for (const ReferenceField& field : fields) keys.insert(field.keys.begin(), field.keys.end());
    for (const LeftOutKey& entry : LeftOutKeys()) {
      const bool of_this = entry.when[0] == '\0' || parts_.count(entry.when) > 0;
      if (of_this && !absl::EndsWith(entry.key, ".*")) keys.insert(entry.key);
    }
    return {keys.begin(), keys.end()};
  }

  // Every value below `value` that no field has taken.
  void ListLeftovers(const YamlValue& value, const std::string& path) {
    if (handled_.count(path) > 0) return;
    if (value.is(Kind::kMap)) {
      // What is left out as a whole is one line.
      if (const LeftOutKey* all = FindLeftOutKey(path + ".*", parts_); all != nullptr && !path.empty()) {
        imported_.leftovers.push_back(
            {path, absl::StrCat("{", value.entries.size(), " keys}"), value.place, false, all->reason});
        return;
      }
      for (const YamlValue::Entry& entry : value.entries) ListLeftovers(entry.second, JoinPath(path, entry.first));
      return;
    }
    if (const LeftOutKey* known = FindLeftOutKey(path, parts_); known != nullptr) {
      const std::string difference = DifferenceOf(*known, path, value);
      return Leave(path, value, !difference.empty(), absl::StrCat(known->reason, difference));
    }
    if (absl::StartsWith(path, "val_kwargs.")) {
      // Validation reads what training does.
      const YamlValue* other = Find(absl::StrCat("train_kwargs.", path.substr(11)));
      if (other != nullptr && JsonText(*other) == JsonText(value)) return;
      return Leave(path, value, true, "validation reads what training does");
    }
    const std::string suggested = SuggestKey(path, known_keys_);
    Leave(path, value, true,
          absl::StrCat("no key that Cubist knows", suggested.empty() ? "" : "; did you mean ", suggested,
                       suggested.empty() ? "" : "?"));
  }

  std::string DifferenceOf(const LeftOutKey& known, const std::string& key, const YamlValue& value) {
    if (known.kind == LeftOutKind::kFixed) return FixedDifference(known.value, value);
    return known.kind == LeftOutKind::kDerived ? DerivedDifference(key, value) : "";
  }

  // "; here it is always X" where `value` is not what `fixed` (LeftOutKey::value) says.
  static std::string FixedDifference(const std::string& fixed, const YamlValue& value) {
    absl::string_view rest = fixed;
    std::string first;
    if (absl::ConsumePrefix(&rest, "every ")) {
      first = std::string(rest);
    } else if (absl::ConsumePrefix(&rest, "first ")) {
      const std::vector<std::string> parts = absl::StrSplit(rest, ", then ");
      first = parts[0];
      rest = absl::string_view(fixed).substr(fixed.size() - parts[1].size());
    } else {
      const bool same = value.is(Kind::kInteger) || value.is(Kind::kFloat) ? ShortestNumber(value.number) == fixed
                                                                           : JsonText(value) == fixed;
      return same ? "" : absl::StrCat("; here it is always ", fixed);
    }
    bool same = value.is(Kind::kList);
    for (size_t i = 0; same && i < value.elements.size(); ++i) {
      same = JsonText(value.elements[i]) == (i == 0 ? absl::string_view(first) : rest);
    }
    return same ? "" : absl::StrCat("; here it is always ", fixed);
  }

  std::string DerivedDifference(const std::string& key, const YamlValue& value) {
    const GaussianReconstruction& model = experiment().gaussian_reconstruction();
    std::string derived;
    if (key == "remain_h") {
      const VoxelVae& vae = experiment().voxel_vae();
      derived = vae.pool_height_levels_size() < vae.num_levels() - 1 ? "true" : "false";
    } else if (absl::EndsWith(key, "unet2d_params.channels")) {
      int channels = 3;
      for (const int prior : model.pixel_branch().depth_priors()) {
        const auto& upsampled = model.depth_anything().upsampler_channels();
        if (prior == PixelBranch::MASKED_VOXEL_DEPTH) ++channels;
        // Without the other branch's encoder there is nothing to add up.
        if (prior == PixelBranch::DEPTH_ANYTHING_FEATURE && upsampled.empty()) return "";
        if (prior == PixelBranch::DEPTH_ANYTHING_FEATURE) channels += *upsampled.rbegin();
      }
      derived = std::to_string(channels);
    } else if (absl::EndsWith(key, "unet2d_params.out_dim")) {
      derived = std::to_string(12 * model.pixel_branch().gaussians_per_pixel());
    } else if (key == "encoder.encoder_modules") {
      std::vector<std::string> modules;
      if (model.branch() != GaussianReconstruction::PIXEL || model.has_sky_panorama()) modules.push_back("\"conv\"");
      if (HasDepthPrior(PixelBranch::DEPTH_ANYTHING_FEATURE)) modules.push_back("\"dav2\"");
      derived = absl::StrCat("[", absl::StrJoin(modules, ", "), "]");
    } else {
      return "";
    }
    return JsonText(value) == derived ? "" : absl::StrCat("; here it is ", derived);
  }

  void NameTrainedNetworks() {
    if (!experiment().has_gaussian_reconstruction()) return;
    GaussianReconstruction& model = *experiment().mutable_gaussian_reconstruction();
    const auto remark = [this](const std::string& path, const std::string& file) {
      imported_.remarks.push_back(absl::StrCat("added gaussian_reconstruction.", path, ": ", file,
                                               " (the reference downloads it; put it there, or name another)"));
    };
    if (HasDepthPrior(PixelBranch::DEPTH_ANYTHING_FEATURE)) {
      const std::string size = DepthAnything::Size_Name(model.depth_anything().size());
      const std::string file =
          absl::StrCat("checkpoints/depth_anything_v2_", absl::AsciiStrToLower(size), ".safetensors");
      model.mutable_depth_anything()->set_weights(file);
      remark("depth_anything.weights", file);
    }
    if (model.loss().perceptual_weight() > 0) {
      model.mutable_loss()->set_perceptual_network("checkpoints/lpips_vgg16.safetensors");
      remark("loss.perceptual_network", model.loss().perceptual_network());
    }
    if (model.metrics().lpips()) {
      model.mutable_metrics()->set_lpips_network("checkpoints/lpips_alexnet.safetensors");
      remark("metrics.lpips_network", model.metrics().lpips_network());
    }
  }

  const YamlValue& config_;
  ImportedExperiment imported_;
  std::set<std::string> parts_;                        // see ActiveParts
  std::set<std::string> handled_;                      // keys that a field has taken, or that are listed
  std::set<std::string> settled_;                      // paths of fields one of whose keys is there
  std::vector<std::string> known_keys_;                // that a misspelt key may stand for
  std::set<std::string> assumed_;                      // keys that are not there, once that is said
  std::vector<std::pair<size_t, std::string>> nulls_;  // leftovers that are null, and the path of the field
  bool ema_ = false;
  bool classifier_free_ = false;
};

}  // namespace

absl::StatusOr<ImportedExperiment> ImportExperiment(const YamlValue& config, const std::string& name) {
  return Importer(config, name).Import();
}

}  // namespace cubist
