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
//   ema, ema_decay                    a decay of 0 is none
//   use_classifier_free, ..._prob     a probability of 0 is none, and of 0.1 where none is given
//   use_pos_embed, use_pos_embed_high one of three kinds of positions
//   use_ddim                          false: DDPM
//   use_ssim_loss                     a fifth of the difference of colours, or none of it
//   encoder.conv_params.n_filter_list begins with the three channels of the image
//   pretrain_*_ckpt                   '' is none
//   (not in the config)               the trained networks that the reference downloads: files in checkpoints/
#include "tools/reference_config/experiment_import.h"

#include <algorithm>
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
#include "configs/reference_keys.h"
#include "configs/scene_attributes.h"

namespace cubist {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
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

absl::Status WrongType(const std::string& key, const YamlValue& value, std::string_view wanted) {
  return YamlError(value.place, absl::StrCat(key, " takes ", absl::string_view(wanted.data(), wanted.size()), ", not ",
                                             JsonText(value)));
}

std::string FileStem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

class Importer {
 public:
  Importer(const YamlValue& config, const std::string& name) : config_(config) { imported_.experiment.set_name(name); }

  absl::StatusOr<ImportedExperiment> Import() {
    RETURN_IF_ERROR(ChooseModel());
    const Experiment::TaskCase task = imported_.experiment.task_case();
    parts_ = ActiveParts(imported_.experiment);
    for (const ReferenceField& field : ReferenceFields(task)) RETURN_IF_ERROR(ImportField(field));
    PoolAllHeights();
    RETURN_IF_ERROR(CountSamples());
    ListLeftovers(config_, "");
    NameTrainedNetworks();
    if (!HasAttributeOfKind(imported_.experiment.data(), kImageKind)) DropViews();
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

  absl::StatusOr<bool> BoolAt(const std::string& key, bool otherwise) const {
    const YamlValue* value = Find(key);
    if (value == nullptr || value->is(Kind::kNull)) return otherwise;
    if (!value->is(Kind::kBool)) return WrongType(key, *value, "true or false");
    return value->boolean;
  }

  void Leave(const std::string& key, const YamlValue& value, bool has_effect, std::string reason) {
    handled_.insert(key);
    imported_.leftovers.push_back({key, JsonText(value), value.place, has_effect, std::move(reason)});
  }

  absl::Status ChooseModel() {
    const YamlValue* model = Find("model");
    if (model == nullptr) {
      return YamlError(config_.place, "there is no key \"model\": autoencoder, diffusion or gsm");
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
    const std::string voxel_key = "backbone.params.use_3d", pixel_key = "backbone.params.use_2d";
    ASSIGN_OR_RETURN(const bool voxel, BoolAt(voxel_key, false));
    ASSIGN_OR_RETURN(const bool pixel, BoolAt(pixel_key, false));
    if (!voxel && !pixel) {
      return YamlError(config_.place, absl::StrCat("neither ", voxel_key, " nor ", pixel_key, " is true"));
    }
    model.set_branch(voxel && pixel ? GaussianReconstruction::DUAL
                     : voxel        ? GaussianReconstruction::VOXEL
                                    : GaussianReconstruction::PIXEL);
    handled_.insert({voxel_key, pixel_key, "use_skybox", "skybox_target"});
    ASSIGN_OR_RETURN(const bool sky, BoolAt("use_skybox", true));
    const YamlValue* target = Find("skybox_target");
    if (!sky) {
      if (target != nullptr) Leave("skybox_target", *target, false, "use_skybox is false");
    } else if (target == nullptr) {
      return YamlError(config_.place, "there is no key \"skybox_target\", and use_skybox is not false");
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

  absl::Status ImportField(const ReferenceField& field) {
    const bool unused = IsOfAnotherAlternative(field.path);
    std::string source;  // the key that the field's value is from
    for (const std::string& key : field.keys) {
      const YamlValue* value = Find(key);
      if (value == nullptr || handled_.count(key) > 0 || FindLeftOutKey(key, parts_) != nullptr) continue;
      if (unused) {
        Leave(key, *value, false, absl::StrCat("read only with ", field.path.substr(0, field.path.rfind('.'))));
        continue;
      }
      ASSIGN_OR_RETURN(const Conversion conversion, Convert(field.path, key, *value));
      if (conversion.not_supported.has_value()) {
        Leave(key, *value, true, conversion.not_supported->reason);
        continue;
      }
      handled_.insert(key);
      if (!conversion.value.has_value()) continue;
      Experiment scratch;
      ASSIGN_OR_RETURN(const bool written, WriteField(field, key, *conversion.value, &scratch));
      if (!written) {
        Leave(key, *value, true, kNoSuchFeature);
      } else if (source.empty()) {
        RETURN_IF_ERROR(WriteField(field, key, *conversion.value, &experiment()).status());
        source = key;
      } else if (FieldText(scratch, field.path) != FieldText(imported_.experiment, field.path)) {
        Leave(key, *value, false, absl::StrCat("the reference's training reads ", source));
      }
    }
    return absl::OkStatus();
  }

  static std::string FieldText(const Experiment& experiment, const std::string& path) {
    const Message* message = &experiment;
    const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
    for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
      message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
    }
    return CanonicalFieldText(*message, resolved.fields.back());
  }

  // The value at `key` as the field at `path` takes it.
  absl::StatusOr<Conversion> Convert(const std::string& path, const std::string& key, const YamlValue& value) {
    if (value.is(Kind::kNull)) return Nothing();
    if (value.is(Kind::kText) && value.text == "???") return Unsupported("nobody gave it a value");
    const auto ends = [&key](absl::string_view end) { return absl::EndsWith(key, end); };
    if (path == "optimizer.amsgrad") return value.text == "Adam" ? Write(Bool(value, true)) : Unsupported();
    if (path == "data.voxel_size" && value.is(Kind::kText)) {
      int tenths = 0;
      absl::string_view digits = value.text;
      if (!absl::ConsumePrefix(&digits, "vs") || !absl::SimpleAtoi(digits, &tenths)) return Unsupported();
      return Write(Number(value, tenths / 10.0));
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
    if (path == "voxel_vae.kl_anneal" || path == "voxel_vae.kl_weight") {
      ASSIGN_OR_RETURN(const bool anneal, BoolAt("enable_anneal", false));
      if (path == "voxel_vae.kl_anneal") {
        if (anneal) experiment().mutable_voxel_vae()->mutable_kl_anneal();
        return Nothing();
      }
      return anneal ? Nothing() : Write(value);
    }
    if (path == "voxel_diffusion.vae.config" && value.is(Kind::kText)) {
      return Write(Text(value, absl::StrCat("configs/recipes/", FileStem(value.text), ".textproto")));
    }
    if (ends("cube_bbox_size") && value.is(Kind::kInteger)) {
      YamlValue sizes = At(value, Kind::kList);
      sizes.elements = {value, value, value};
      return Write(std::move(sizes));
    }
    if (path == "ema.decay") {
      ASSIGN_OR_RETURN(const bool ema, BoolAt("ema", false));
      if (key == "ema") return Nothing();
      return ema ? Write(value) : Nothing();
    }
    if (path == "voxel_diffusion.conditions.classifier_free_probability") {
      ASSIGN_OR_RETURN(const bool free, BoolAt("use_classifier_free", false));
      if (!free) return Write(Number(value, 0));
      return key == "use_classifier_free" ? Nothing() : Write(value);
    }
    if (path == "voxel_diffusion.conditions.positions") {
      ASSIGN_OR_RETURN(const bool index, BoolAt("use_pos_embed", false));
      ASSIGN_OR_RETURN(const bool sines, BoolAt("use_pos_embed_high", false));
      if (index && sines) return Unsupported("one kind of positions at a time");
      return Write(Text(value, index ? "cell_index" : sines ? "sinusoidal" : "none"));
    }
    if (path == "voxel_diffusion.sampler.kind") {
      ASSIGN_OR_RETURN(const bool ddim, BoolAt(key, true));
      return Write(Text(value, ddim ? "ddim" : "ddpm"));
    }
    if (path == "gaussian_reconstruction.loss.ssim_fraction") {
      ASSIGN_OR_RETURN(const bool ssim, BoolAt(key, false));
      return Write(Number(value, ssim ? 0.2 : 0));
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

  // Writes `value` into the field of `target`; false if it is of the right type but none of the field's values.
  static absl::StatusOr<bool> WriteField(const ReferenceField& reference, const std::string& key,
                                         const YamlValue& value, Experiment* target) {
    Message* message = target;
    const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), reference.path);
    for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
      message = message->GetReflection()->MutableMessage(message, resolved.fields[i]);
    }
    const FieldDescriptor* field = resolved.fields.back();
    if (!field->is_repeated()) return WriteElement(key, value, field, message);
    if (!value.is(Kind::kList)) return WrongType(key, value, "a list");
    message->GetReflection()->ClearField(message, field);
    for (const YamlValue& element : value.elements) {
      ASSIGN_OR_RETURN(const bool written, WriteElement(key, element, field, message));
      if (!written) return false;
    }
    return true;
  }

  static absl::StatusOr<bool> WriteElement(const std::string& key, const YamlValue& value, const FieldDescriptor* field,
                                           Message* message) {
    const Reflection& reflection = *message->GetReflection();
    const bool list = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64: {
        const bool is_32 = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32;
        if (!value.is(Kind::kInteger)) return WrongType(key, value, "a whole number");
        if (is_32 && (value.integer > std::numeric_limits<int32_t>::max() ||
                      value.integer < std::numeric_limits<int32_t>::min())) {
          return WrongType(key, value, "a whole number of 32 bits");
        }
        const auto small = static_cast<int32_t>(value.integer);
        if (is_32) {
          list ? reflection.AddInt32(message, field, small) : reflection.SetInt32(message, field, small);
        } else {
          list ? reflection.AddInt64(message, field, value.integer)
               : reflection.SetInt64(message, field, value.integer);
        }
        return true;
      }
      case FieldDescriptor::CPPTYPE_DOUBLE:
        if (!value.is(Kind::kInteger) && !value.is(Kind::kFloat)) return WrongType(key, value, "a number");
        list ? reflection.AddDouble(message, field, value.number) : reflection.SetDouble(message, field, value.number);
        return true;
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!value.is(Kind::kBool)) return WrongType(key, value, "true or false");
        list ? reflection.AddBool(message, field, value.boolean) : reflection.SetBool(message, field, value.boolean);
        return true;
      case FieldDescriptor::CPPTYPE_STRING:
        if (!value.is(Kind::kText)) return WrongType(key, value, "text");
        list ? reflection.AddString(message, field, value.text) : reflection.SetString(message, field, value.text);
        return true;
      case FieldDescriptor::CPPTYPE_ENUM: {
        if (!value.is(Kind::kText) && !value.is(Kind::kInteger)) return WrongType(key, value, "a word");
        for (int i = 0; i < field->enum_type()->value_count(); ++i) {
          const EnumValueDescriptor* candidate = field->enum_type()->value(i);
          const bool same =
              value.is(Kind::kText) ? ReferenceValue(*candidate) == value.text : candidate->number() == value.integer;
          if (!same) continue;
          list ? reflection.AddEnum(message, field, candidate) : reflection.SetEnum(message, field, candidate);
          return true;
        }
        return false;
      }
      default:
        return InternalError(absl::StrCat("field ", field->full_name(), " has a reference_key and no conversion"));
    }
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
      const std::string difference = known->kind == LeftOutKind::kFixed     ? FixedDifference(known->value, value)
                                     : known->kind == LeftOutKind::kDerived ? DerivedDifference(path, value)
                                                                            : "";
      return Leave(path, value, !difference.empty(), absl::StrCat(known->reason, difference));
    }
    if (absl::StartsWith(path, "val_kwargs.")) {
      // Validation reads what training does.
      const YamlValue* other = Find(absl::StrCat("train_kwargs.", path.substr(11)));
      if (other != nullptr && JsonText(*other) == JsonText(value)) return;
      return Leave(path, value, true, "validation reads what training does");
    }
    Leave(path, value, true, "no field carries it");
  }

  // "; Cubist: X" where `value` is not what `fixed` (LeftOutKey::value) says.
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
      const auto& priors = model.pixel_branch().depth_priors();
      std::vector<std::string> modules;
      if (model.branch() != GaussianReconstruction::PIXEL || model.has_sky_panorama()) modules.push_back("\"conv\"");
      if (model.branch() != GaussianReconstruction::VOXEL &&
          std::count(priors.begin(), priors.end(), PixelBranch::DEPTH_ANYTHING_FEATURE) > 0) {
        modules.push_back("\"dav2\"");
      }
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
      imported_.remarks.push_back(absl::StrCat("gaussian_reconstruction.", path, ": ", file,
                                               " (the reference downloads it; put it there, or name another)"));
    };
    const auto& priors = model.pixel_branch().depth_priors();
    if (model.branch() != GaussianReconstruction::VOXEL &&
        std::count(priors.begin(), priors.end(), PixelBranch::DEPTH_ANYTHING_FEATURE) > 0) {
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

  void DropViews() {
    Data& data = *experiment().mutable_data();
    data.clear_input_views();
    data.clear_supervision_views();
    data.clear_supervision_images_per_sample();
  }

  // Clears scalars that have their default, and messages that hold nothing then; alternatives stay.
  static void ClearDefaults(Message* message) {
    const Reflection& reflection = *message->GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(*message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->is_repeated()) continue;
      if (field->message_type() != nullptr) {
        Message* child = reflection.MutableMessage(message, field);
        ClearDefaults(child);
        if (child->ByteSizeLong() == 0 && field->containing_oneof() == nullptr) reflection.ClearField(message, field);
      } else if (field->has_default_value() && CanonicalFieldText(*message, field) == DefaultText(field)) {
        reflection.ClearField(message, field);
      }
    }
  }

  const YamlValue& config_;
  ImportedExperiment imported_;
  std::set<std::string> parts_;    // see ActiveParts
  std::set<std::string> handled_;  // keys that a field has taken, or that are listed
};

}  // namespace

absl::StatusOr<ImportedExperiment> ImportExperiment(const YamlValue& config, const std::string& name) {
  return Importer(config, name).Import();
}

}  // namespace cubist
