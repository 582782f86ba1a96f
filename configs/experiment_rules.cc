#include "configs/experiment_rules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::RepeatedField;
using google::protobuf::RepeatedPtrField;

const std::array<const char*, 3> kAxes = {"forward", "left", "up"};

// Relative: corners and voxel sizes are decimal fractions that binary numbers only come near to.
bool Same(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)); }

// Layer names of the reference's maps and the attribute folders that hold their points.
const std::vector<std::pair<std::string, std::string>>& MapAttributes() {
  static const auto* const attributes =
      new std::vector<std::pair<std::string, std::string>>{{"road_edge", "3d_road_edge_voxelsize_025"},
                                                           {"road_line", "3d_road_line_voxelsize_025"},
                                                           {"road_surface", "3d_road_surface_voxelsize_04"}};
  return *attributes;
}

class Rules {
 public:
  Rules(const LayeredConfig& config, Diagnostics* diagnostics)
      : config_(config),
        experiment_(static_cast<const Experiment&>(*config.message)),
        data_(experiment_.data()),
        vae_(experiment_.voxel_vae()),
        diagnostics_(diagnostics) {}

  void CheckAll() {
    CheckTask();
    CheckName();
    CheckClips();
    CheckCrop();
    CheckFrames();
    CheckAttributes();
    CheckBatch();
    CheckLearningRate();
    if (experiment_.has_voxel_vae()) {
      CheckLevels();
      CheckChannels();
      CheckAnneal();
    }
  }

 private:
  void Violation(const std::string& path, std::string message, std::vector<std::string> notes = {}) {
    ViolationAt(config_.PlaceOf(path), path, std::move(message), std::move(notes));
  }
  void ViolationAt(const Place& place, const std::string& path, std::string message,
                   std::vector<std::string> notes = {}) {
    const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
    if (resolved.ok() && !resolved.fields.empty()) notes.push_back(FieldSummary(resolved.fields.back(), path));
    diagnostics_->Add(place, std::move(message), std::move(notes));
  }

  // "data.voxel_size is 0.2 (recipe.textproto:12)", to say what a value was held against.
  std::string ValueNote(const std::string& path) const {
    const google::protobuf::Message* message = &experiment_;
    const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
    for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
      message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
    }
    const auto entry = config_.places.find(path);
    const std::string origin = entry == config_.places.end() ? "default" : OriginText(entry->second.statement);
    return absl::StrCat(path, " is ", CanonicalFieldText(*message, resolved.fields.back()), " (", origin, ")");
  }

  // Reports an empty list that some model needs.
  bool Given(const std::string& path, int size) {
    if (size > 0 || !config_.Sound({path})) return size > 0;
    Violation(path, path + " is missing");
    return false;
  }

  void CheckTask() {
    const google::protobuf::OneofDescriptor* task = Experiment::descriptor()->FindOneofByName("task");
    if (experiment_.task_case() != Experiment::TASK_NOT_SET) return;
    std::vector<std::string> paths;
    for (int i = 0; i < task->field_count(); ++i) paths.push_back(task->field(i)->name());
    if (!config_.Sound(paths)) return;
    diagnostics_->Add(config_.beginning, "no model is given",
                      {absl::StrCat("write one of: ", absl::StrJoin(paths, " { ... }, "), " { ... }")});
  }

  void CheckName() {
    const std::string& name = experiment_.name();
    if (!experiment_.has_name() || !config_.Sound({"name"})) return;
    const bool odd =
        std::any_of(name.begin(), name.end(), [](unsigned char c) { return c == '/' || c < ' ' || c == 127; });
    if (name.empty() || name == "." || name == ".." || odd) {
      Violation("name", absl::StrCat("name becomes the name of a folder, which cannot be \"",
                                     absl::Utf8SafeCEscape(name), "\""));
    }
  }

  void CheckClipList(const std::string& path, const RepeatedPtrField<std::string>& clips) {
    std::set<std::string> seen;
    for (int i = 0; i < clips.size(); ++i) {
      const std::string& clip = clips.Get(i);
      if (clip.empty() || clip.find('/') != std::string::npos || clip[0] == '.') {
        ViolationAt(config_.PlaceOfElement(path, i), path, absl::StrCat("\"", clip, "\" is no clip id"),
                    {"a clip id is the name of a tar file, without its folder and without .tar"});
      } else if (!seen.insert(clip).second) {
        ViolationAt(config_.PlaceOfElement(path, i), path, absl::StrCat("clip ", clip, " is in ", path, " twice"));
      }
    }
  }

  void CheckClips() {
    CheckClipList("data.train_clips", data_.train_clips());
    CheckClipList("data.validation_clips", data_.validation_clips());
  }

  void CheckCrop() {
    if (experiment_.has_voxel_vae()) {
      Given("data.crop_min", data_.crop_min_size());
      Given("data.crop_max", data_.crop_max_size());
      Given("voxel_vae.neck_half_extent", vae_.neck_half_extent_size());
    }
    if (data_.crop_jitter() && data_.crop_jitter_range_size() == 0 &&
        config_.Sound({"data.crop_jitter", "data.crop_jitter_range"})) {
      Violation("data.crop_jitter", "data.crop_jitter needs data.crop_jitter_range");
    }
    if (data_.crop_min_size() != 3 || data_.crop_max_size() != 3 ||
        !config_.Sound({"data.crop_min", "data.crop_max"})) {
      return;
    }
    if (CheckCropOrder() && CheckCropVoxels()) CheckCropNeck();
  }

  // "the crop of -6.4 to 6.4 m (left)".
  std::string CropText(int axis) const {
    return absl::StrCat("the crop of ", ShortestNumber(data_.crop_min(axis)), " to ",
                        ShortestNumber(data_.crop_max(axis)), " m (", kAxes[axis], ")");
  }

  // One violation for all axes that break the same rule; true if none does.
  bool ReportAxes(const std::map<int, std::string>& messages, const std::vector<std::string>& value_paths) {
    if (messages.empty()) return true;
    const std::string path = "data.crop_max";
    std::vector<std::string> notes;
    for (auto entry = std::next(messages.begin()); entry != messages.end(); ++entry) {
      notes.push_back("and " + entry->second);
    }
    for (const std::string& value_path : value_paths) notes.push_back(ValueNote(value_path));
    const bool one = messages.size() == 1;
    ViolationAt(one ? config_.PlaceOfElement(path, messages.begin()->first) : config_.PlaceOf(path), path,
                messages.begin()->second, std::move(notes));
    return false;
  }

  bool CheckCropOrder() {
    std::map<int, std::string> wrong;
    for (int axis = 0; axis < 3; ++axis) {
      if (!(data_.crop_max(axis) > data_.crop_min(axis))) wrong[axis] = CropText(axis) + " is empty";
    }
    return ReportAxes(wrong, {"data.crop_min", "data.crop_max"});
  }

  double CropCells(int axis) const { return (data_.crop_max(axis) - data_.crop_min(axis)) / data_.voxel_size(); }

  bool CheckCropVoxels() {
    if (!config_.Sound({"data.voxel_size"})) return false;
    std::map<int, std::string> wrong;
    for (int axis = 0; axis < 3; ++axis) {
      const double cells = CropCells(axis);
      if (Same(cells, std::round(cells)) && std::round(cells) >= 1) continue;
      wrong[axis] =
          absl::StrCat(CropText(axis), " is no whole number of voxels of ", ShortestNumber(data_.voxel_size()), " m");
    }
    return ReportAxes(wrong, {"data.crop_min", "data.voxel_size"});
  }

  // As in the reference: each level but the finest halves forward and left; the listed ones halve the height too.
  int Poolings(int axis) const {
    if (axis < 2) return vae_.num_levels() - 1;
    const std::set<int> levels(vae_.pool_height_levels().begin(), vae_.pool_height_levels().end());
    return static_cast<int>(
        std::count_if(levels.begin(), levels.end(), [&](int l) { return l >= 1 && l < vae_.num_levels(); }));
  }

  void CheckCropNeck() {
    if (!experiment_.has_voxel_vae() || vae_.neck_half_extent_size() != 3 ||
        !config_.Sound({"voxel_vae.neck_half_extent", "voxel_vae.num_levels", "voxel_vae.pool_height_levels"})) {
      return;
    }
    std::map<int, std::string> wrong;
    for (int axis = 0; axis < 3; ++axis) {
      const int cell = 1 << Poolings(axis);
      const double neck = 2.0 * vae_.neck_half_extent(axis) * cell;
      if (Same(CropCells(axis), neck)) continue;
      // Rounded so that it reads as people write it.
      const double length = std::round(neck * data_.voxel_size() * 1e9) / 1e9;
      wrong[axis] = absl::StrCat(CropText(axis), " has ", ShortestNumber(std::round(CropCells(axis))),
                                 " voxels, but the dense neck covers ", ShortestNumber(neck), ": 2 * ",
                                 vae_.neck_half_extent(axis), " cells of ", cell, " voxels, so the crop must be ",
                                 ShortestNumber(length), " m long");
    }
    ReportAxes(wrong, {"voxel_vae.neck_half_extent", "voxel_vae.num_levels", "voxel_vae.pool_height_levels",
                       "data.crop_min", "data.voxel_size"});
  }

  void CheckFrames() {
    const std::vector<std::string> paths = {"data.input_frame_offsets", "data.supervision_frame_offsets",
                                            "data.frame_start", "data.frame_end"};
    if (experiment_.task_case() == Experiment::TASK_NOT_SET) return;
    const bool inputs = Given(paths[0], data_.input_frame_offsets_size());
    const bool supervisions = Given(paths[1], data_.supervision_frame_offsets_size());
    if (!inputs || !supervisions || !config_.Sound(paths)) return;
    int32_t largest = 0;
    for (const int32_t offset : data_.input_frame_offsets()) largest = std::max(largest, offset);
    for (const int32_t offset : data_.supervision_frame_offsets()) largest = std::max(largest, offset);
    CheckSynthesizedFrames(largest);
    // Training start frames: frame_start to frame_end - largest offset - 1, both included, as in the reference.
    const int64_t last_start = int64_t{data_.frame_end()} - largest - 1;
    if (data_.frame_start() <= last_start) return;
    const bool start_set = config_.places.count("data.frame_start") > 0;
    Violation(start_set ? "data.frame_start" : "data.frame_end",
              absl::StrCat("there is no frame to start from: data.frame_start is ", data_.frame_start(),
                           ", and the last start frame is ", last_start),
              {absl::StrCat("last start frame = data.frame_end - largest offset - 1 = ", data_.frame_end(), " - ",
                            largest, " - 1"),
               ValueNote("data.frame_start"), ValueNote("data.frame_end")});
  }

  // Scenes that are made for this run must have the frames that it will ask for.
  void CheckSynthesizedFrames(int32_t largest_offset) {
    if (!data_.has_synthesize() ||
        !config_.Sound({"data.synthesize", "data.frame_end", "data.validation_start_frame"})) {
      return;
    }
    const int64_t frames = data_.synthesize().frames();
    const int64_t needed =
        std::max<int64_t>(data_.frame_end(), int64_t{data_.validation_start_frame()} + largest_offset + 1);
    if (frames >= needed) return;
    Violation("data.synthesize.frames",
              absl::StrCat("data.synthesize.frames is ", frames, ", but ", needed, " frames are needed"),
              {ValueNote("data.frame_end"), ValueNote("data.validation_start_frame")});
  }

  bool HasAttribute(const std::string& attribute) const {
    return std::count(data_.attributes().begin(), data_.attributes().end(), attribute) > 0;
  }
  void NeedAttribute(const std::string& attribute, const std::string& because, const Place& place) {
    if (HasAttribute(attribute)) return;
    ViolationAt(place, "data.attributes", absl::StrCat("data.attributes lacks \"", attribute, "\", ", because));
  }

  void CheckAttributes() {
    const std::string path = "data.attributes";
    const auto& attributes = data_.attributes();
    std::set<std::string> seen;
    std::vector<std::string> clouds;
    for (int i = 0; i < attributes.size(); ++i) {
      const std::string& attribute = attributes.Get(i);
      const Place place = config_.PlaceOfElement(path, i);
      if (attribute.empty() || attribute.find('/') != std::string::npos || attribute[0] == '.') {
        ViolationAt(place, path, absl::StrCat("\"", attribute, "\" is no attribute: it names a folder of data_root"));
      } else if (!seen.insert(attribute).second) {
        ViolationAt(place, path, absl::StrCat("attribute ", attribute, " is listed twice"));
      } else if (absl::StartsWith(attribute, "pc_")) {
        clouds.push_back(attribute);
      }
    }
    if (experiment_.has_voxel_vae() && Given(path, attributes.size())) CheckSceneAttributes(clouds);
    CheckMaps();
  }

  void CheckSceneAttributes(const std::vector<std::string>& clouds) {
    const std::string path = "data.attributes";
    if (!config_.Sound({path})) return;
    NeedAttribute("pose", "which places the crop", config_.PlaceOf(path));
    if (clouds.empty()) {
      Violation(path, "data.attributes has no point cloud",
                {"the clouds are pc_with_map_without_car_voxelsize_01 and pc_voxelsize_01"});
    } else if (clouds.size() > 1) {
      Violation(path, absl::StrCat("data.attributes has ", clouds.size(),
                                   " point clouds: ", absl::StrJoin(clouds, ", "), "; a scene is made of one"));
    }
    if (!data_.replace_cars_with_cad()) return;
    for (const char* attribute : {"static_object_info", "dynamic_object_info"}) {
      NeedAttribute(attribute, "which data.replace_cars_with_cad needs", config_.PlaceOf("data.replace_cars_with_cad"));
    }
  }

  void CheckMaps() {
    if (!config_.Sound({"data.map_types"})) return;
    for (int i = 0; i < data_.map_types_size(); ++i) {
      const std::string& type = data_.map_types(i);
      const Place place = config_.PlaceOfElement("data.map_types", i);
      std::vector<std::string> names;
      std::string needed;
      for (const auto& [name, attribute] : MapAttributes()) {
        names.push_back(name);
        if (name == type) needed = attribute;
      }
      if (!needed.empty()) {
        if (config_.Sound({"data.attributes"})) NeedAttribute(needed, "which map type " + type + " needs", place);
        continue;
      }
      const std::string nearest = NearestWord(type, names);
      std::vector<std::string> notes;
      if (!nearest.empty()) notes.push_back(absl::StrCat("did you mean ", nearest, "?"));
      ViolationAt(place, "data.map_types",
                  absl::StrCat("data.map_types takes road_edge, road_line and road_surface, not \"", type, "\""),
                  std::move(notes));
    }
  }

  void CheckBatch() {
    const Batch& batch = experiment_.batch();
    if (!batch.has_global() || !config_.Sound({"batch.global", "batch.per_gpu"})) return;
    if (batch.per_gpu() < 1 || batch.global() % batch.per_gpu() == 0) return;
    Violation(
        "batch.global",
        absl::StrCat("batch.global is ", batch.global(), ", which is no multiple of batch.per_gpu, ", batch.per_gpu()),
        {ValueNote("batch.per_gpu")});
  }

  void CheckLearningRate() {
    const LearningRate& rate = experiment_.learning_rate();
    if (rate.minimum() <= rate.initial() || !config_.Sound({"learning_rate.initial", "learning_rate.minimum"})) return;
    const bool minimum_set = config_.places.count("learning_rate.minimum") > 0;
    Violation(minimum_set ? "learning_rate.minimum" : "learning_rate.initial",
              absl::StrCat("learning_rate.minimum, ", ShortestNumber(rate.minimum()),
                           ", is above learning_rate.initial, ", ShortestNumber(rate.initial())),
              {ValueNote("learning_rate.initial"), ValueNote("learning_rate.minimum")});
  }

  void CheckLevels() {
    const std::string path = "voxel_vae.pool_height_levels";
    std::set<int> seen;
    for (int i = 0; i < vae_.pool_height_levels_size(); ++i) {
      const int level = vae_.pool_height_levels(i);
      if (level >= vae_.num_levels() && config_.Sound({"voxel_vae.num_levels"})) {
        ViolationAt(config_.PlaceOfElement(path, i), path,
                    absl::StrCat(path, " has level ", level, ", but the coarsest is ", vae_.num_levels() - 1),
                    {ValueNote("voxel_vae.num_levels")});
      } else if (!seen.insert(level).second) {
        ViolationAt(config_.PlaceOfElement(path, i), path, absl::StrCat(path, " has level ", level, " twice"));
      }
    }
  }

  // As in the reference, a normalisation has norm_groups groups, or one where there are fewer channels than that.
  void CheckGroups(const std::string& path, int64_t channels, const std::string& what) {
    const int64_t groups = vae_.norm_groups();
    if (channels < 1 || groups < 1 || channels < groups || channels % groups == 0) return;
    Violation(path, absl::StrCat(what, " is ", channels, " channels, which ", groups, " groups do not divide"),
              {ValueNote("voxel_vae.norm_groups")});
  }

  void CheckChannels() {
    const std::string encoder = "voxel_vae.encoder_channels", base = "voxel_vae.base_channels",
                      cut = "voxel_vae.latent_cut_ratio", groups = "voxel_vae.norm_groups",
                      levels = "voxel_vae.num_levels";
    if (config_.Sound({encoder, groups})) CheckGroups(encoder, vae_.encoder_channels(), encoder);
    // If the finest level's channels divide, or are fewer, the coarser ones may still not: 6 * 2 with 8 groups.
    if (!config_.Sound({base, levels, groups, cut}) || vae_.num_levels() < 2 || vae_.num_levels() > 6) return;
    for (int level = 0; level < vae_.num_levels(); ++level) {
      const size_t before = diagnostics_->size();
      CheckGroups(base, int64_t{vae_.base_channels()} << level, absl::StrCat("level ", level, " of the network"));
      if (diagnostics_->size() > before) break;
    }
    const int64_t neck = int64_t{vae_.base_channels()} << (vae_.num_levels() - 1);
    if (vae_.latent_cut_ratio() < 1) return;
    if (neck % vae_.latent_cut_ratio() != 0) {
      Violation(cut,
                absl::StrCat("the neck has ", neck, " channels, which voxel_vae.latent_cut_ratio, ",
                             vae_.latent_cut_ratio(), ", does not divide"),
                {ValueNote(base), ValueNote(levels)});
    } else {
      CheckGroups(cut, neck / vae_.latent_cut_ratio(), "the latent");
    }
  }

  void CheckAnneal() {
    if (!vae_.has_kl_anneal()) return;
    const KlAnneal& anneal = vae_.kl_anneal();
    const std::string path = "voxel_vae.kl_anneal";
    if (!config_.Sound({path})) return;
    if (anneal.start_step() >= anneal.end_step()) {
      Violation(path + ".end_step", absl::StrCat("voxel_vae.kl_anneal ends at step ", anneal.end_step(),
                                                 ", not after it starts at step ", anneal.start_step()));
    }
    if (anneal.weight_min() > anneal.weight_max()) {
      Violation(path + ".weight_max",
                absl::StrCat("voxel_vae.kl_anneal.weight_max, ", ShortestNumber(anneal.weight_max()),
                             ", is below weight_min, ", ShortestNumber(anneal.weight_min())));
    }
  }

  const LayeredConfig& config_;
  const Experiment& experiment_;
  const Data& data_;
  const VoxelVae& vae_;
  Diagnostics* diagnostics_;
};

}  // namespace

void ExpandCompatibility(LayeredConfig* config) {
  Experiment& experiment = static_cast<Experiment&>(*config->message);
  if (experiment.compat() != REFERENCE) return;
  const auto preset = [config](const char* path, bool already_set) {
    if (!already_set) config->preset_origins[path] = "compat: REFERENCE";
    return !already_set;
  };
  Gradient& gradient = *experiment.mutable_gradient();
  Data& data = *experiment.mutable_data();
  if (preset("gradient.clip_each_micro_batch", gradient.has_clip_each_micro_batch())) {
    gradient.set_clip_each_micro_batch(true);
  }
  if (preset("gradient.batch_mean_over_voxels", gradient.has_batch_mean_over_voxels())) {
    gradient.set_batch_mean_over_voxels(true);
  }
  if (preset("data.label_lookup_half_to_even", data.has_label_lookup_half_to_even())) {
    data.set_label_lookup_half_to_even(true);
  }
}

void CheckExperimentRules(const LayeredConfig& config, Diagnostics* diagnostics) {
  Rules(config, diagnostics).CheckAll();
}

}  // namespace cubist
