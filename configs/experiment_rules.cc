#include "configs/experiment_rules.h"

#include <algorithm>
#include <cstdint>
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
#include "configs/gaussian_reconstruction_rules.h"
#include "configs/proto/experiment.pb.h"
#include "configs/rule_checker.h"
#include "configs/voxel_diffusion_rules.h"
#include "configs/voxel_vae_rules.h"

namespace cubist {
namespace {

using google::protobuf::RepeatedPtrField;

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
  explicit Rules(RuleChecker* checker)
      : checker_(*checker), config_(checker->config()), experiment_(checker->experiment()), data_(checker->data()) {}

  void CheckAll() {
    CheckTask();
    CheckName();
    CheckClips();
    const bool crop_is_sound = checker_.CheckCrop();
    CheckFrames();
    CheckImages();
    CheckAttributes();
    CheckBatch();
    CheckLearningRate();
    if (experiment_.has_voxel_vae()) CheckVoxelVaeRules(crop_is_sound, &checker_);
    if (experiment_.has_voxel_diffusion()) CheckVoxelDiffusionRules(crop_is_sound, &checker_);
    if (experiment_.has_gaussian_reconstruction()) CheckGaussianReconstructionRules(&checker_);
  }

 private:
  void CheckTask() {
    const google::protobuf::OneofDescriptor* task = Experiment::descriptor()->FindOneofByName("task");
    if (experiment_.task_case() != Experiment::TASK_NOT_SET) return;
    std::vector<std::string> paths;
    for (int i = 0; i < task->field_count(); ++i) paths.push_back(task->field(i)->name());
    if (!checker_.Sound(paths)) return;
    checker_.ViolationAt(config_.beginning, "", "no model is given",
                         {absl::StrCat("write one of: ", absl::StrJoin(paths, " { ... }, "), " { ... }")});
  }

  void CheckName() {
    const std::string& name = experiment_.name();
    if (!experiment_.has_name() || !checker_.Sound({"name"})) return;
    const bool odd =
        std::any_of(name.begin(), name.end(), [](unsigned char c) { return c == '/' || c < ' ' || c == 127; });
    if (name.empty() || name == "." || name == ".." || odd) {
      checker_.Violation("name", absl::StrCat("name becomes the name of a folder, which cannot be \"",
                                              absl::Utf8SafeCEscape(name), "\""));
    }
  }

  void CheckClipList(const std::string& path, const RepeatedPtrField<std::string>& clips) {
    std::set<std::string> seen;
    for (int i = 0; i < clips.size(); ++i) {
      const std::string& clip = clips.Get(i);
      if (clip.empty() || clip.find('/') != std::string::npos || clip[0] == '.') {
        checker_.ViolationAt(config_.PlaceOfElement(path, i), path, absl::StrCat("\"", clip, "\" is no clip id"),
                             {"a clip id is the name of a tar file, without its folder and without .tar"});
      } else if (!seen.insert(clip).second) {
        checker_.ViolationAt(config_.PlaceOfElement(path, i), path,
                             absl::StrCat("clip ", clip, " is in ", path, " twice"));
      }
    }
  }

  void CheckClips() {
    CheckClipList("data.train_clips", data_.train_clips());
    CheckClipList("data.validation_clips", data_.validation_clips());
  }

  void CheckFrames() {
    const std::vector<std::string> paths = {"data.input_frame_offsets", "data.supervision_frame_offsets",
                                            "data.frame_start", "data.frame_end"};
    if (experiment_.task_case() == Experiment::TASK_NOT_SET) return;
    const bool inputs = checker_.Given(paths[0], data_.input_frame_offsets_size());
    const bool supervisions = checker_.Given(paths[1], data_.supervision_frame_offsets_size());
    if (!inputs || !supervisions || !checker_.Sound(paths)) return;
    int32_t largest = 0;
    for (const int32_t offset : data_.input_frame_offsets()) largest = std::max(largest, offset);
    for (const int32_t offset : data_.supervision_frame_offsets()) largest = std::max(largest, offset);
    CheckSynthesizedFrames(largest);
    // Training start frames: frame_start to frame_end - largest offset - 1, both included, as in the reference.
    const int64_t last_start = int64_t{data_.frame_end()} - largest - 1;
    if (data_.frame_start() <= last_start) return;
    const bool start_set = config_.places.count("data.frame_start") > 0;
    checker_.Violation(start_set ? "data.frame_start" : "data.frame_end",
                       absl::StrCat("there is no frame to start from: data.frame_start is ", data_.frame_start(),
                                    ", and the last start frame is ", last_start),
                       {absl::StrCat("last start frame = data.frame_end - largest offset - 1 = ", data_.frame_end(),
                                     " - ", largest, " - 1"),
                        checker_.ValueNote("data.frame_start"), checker_.ValueNote("data.frame_end")});
  }

  void CheckImages() {
    const std::string count = "data.supervision_images_per_sample", offsets = "data.supervision_frame_offsets",
                      views = "data.supervision_views";
    CheckViews("data.input_views", data_.input_views());
    CheckViews(views, data_.supervision_views());
    const int64_t images = int64_t{data_.supervision_frame_offsets_size()} * data_.supervision_views_size();
    if (data_.supervision_views_size() == 0 || data_.supervision_images_per_sample() <= images) return;
    if (!checker_.Sound({count, offsets, views})) return;
    checker_.Violation(count,
                       absl::StrCat(count, " is ", data_.supervision_images_per_sample(), ", but a sample has only ",
                                    images, " images: frames times cameras"),
                       {checker_.ValueNote(offsets), checker_.ValueNote(views)});
  }

  void CheckViews(const std::string& path, const google::protobuf::RepeatedField<int>& views) {
    std::vector<std::string> names;
    for (const int view : views) names.push_back(CameraView_Name(static_cast<CameraView>(view)));
    checker_.CheckDistinct(path, names);
  }

  // Scenes that are made for this run must have the frames that it will ask for.
  void CheckSynthesizedFrames(int32_t largest_offset) {
    if (!data_.has_synthesize() ||
        !checker_.Sound({"data.synthesize", "data.frame_end", "data.validation_start_frame"})) {
      return;
    }
    const int64_t frames = data_.synthesize().frames();
    const int64_t needed =
        std::max<int64_t>(data_.frame_end(), int64_t{data_.validation_start_frame()} + largest_offset + 1);
    if (frames >= needed) return;
    checker_.Violation("data.synthesize.frames",
                       absl::StrCat("data.synthesize.frames is ", frames, ", but ", needed, " frames are needed"),
                       {checker_.ValueNote("data.frame_end"), checker_.ValueNote("data.validation_start_frame")});
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
        checker_.ViolationAt(place, path,
                             absl::StrCat("\"", attribute, "\" is no attribute: it names a folder of data_root"));
      } else if (!seen.insert(attribute).second) {
        checker_.ViolationAt(place, path, absl::StrCat("attribute ", attribute, " is listed twice"));
      } else if (absl::StartsWith(attribute, "pc_")) {
        clouds.push_back(attribute);
      }
    }
    if (experiment_.task_case() != Experiment::TASK_NOT_SET && checker_.Given(path, attributes.size())) {
      CheckSceneAttributes(clouds);
    }
    CheckMaps();
  }

  void CheckSceneAttributes(const std::vector<std::string>& clouds) {
    const std::string path = "data.attributes";
    if (!checker_.Sound({path})) return;
    checker_.NeedAttribute("pose", "which places the crop", config_.PlaceOf(path));
    if (clouds.empty()) {
      checker_.Violation(path, "data.attributes has no point cloud",
                         {"the clouds are pc_with_map_without_car_voxelsize_01 and pc_voxelsize_01"});
    } else if (clouds.size() > 1) {
      checker_.Violation(path, absl::StrCat("data.attributes has ", clouds.size(), " point clouds: ",
                                            absl::StrJoin(clouds, ", "), "; a scene is made of one"));
    }
    if (!data_.replace_cars_with_cad()) return;
    for (const char* attribute : {"static_object_info", "dynamic_object_info"}) {
      checker_.NeedAttribute(attribute, "which data.replace_cars_with_cad needs",
                             config_.PlaceOf("data.replace_cars_with_cad"));
    }
  }

  void CheckMaps() {
    if (!checker_.Sound({"data.map_types"})) return;
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
        if (checker_.Sound({"data.attributes"}))
          checker_.NeedAttribute(needed, "which map type " + type + " needs", place);
        continue;
      }
      const std::string nearest = NearestWord(type, names);
      std::vector<std::string> notes;
      if (!nearest.empty()) notes.push_back(absl::StrCat("did you mean ", nearest, "?"));
      checker_.ViolationAt(
          place, "data.map_types",
          absl::StrCat("data.map_types takes road_edge, road_line and road_surface, not \"", type, "\""),
          std::move(notes));
    }
  }

  void CheckBatch() {
    const Batch& batch = experiment_.batch();
    if (!batch.has_global() || !checker_.Sound({"batch.global", "batch.per_gpu"})) return;
    if (batch.per_gpu() < 1 || batch.global() % batch.per_gpu() == 0) return;
    checker_.Violation(
        "batch.global",
        absl::StrCat("batch.global is ", batch.global(), ", which is no multiple of batch.per_gpu, ", batch.per_gpu()),
        {checker_.ValueNote("batch.per_gpu")});
  }

  void CheckLearningRate() {
    const LearningRate& rate = experiment_.learning_rate();
    if (rate.minimum() <= rate.initial() || !checker_.Sound({"learning_rate.initial", "learning_rate.minimum"})) return;
    const bool minimum_set = config_.places.count("learning_rate.minimum") > 0;
    checker_.Violation(minimum_set ? "learning_rate.minimum" : "learning_rate.initial",
                       absl::StrCat("learning_rate.minimum, ", ShortestNumber(rate.minimum()),
                                    ", is above learning_rate.initial, ", ShortestNumber(rate.initial())),
                       {checker_.ValueNote("learning_rate.initial"), checker_.ValueNote("learning_rate.minimum")});
  }

  RuleChecker& checker_;
  const LayeredConfig& config_;
  const Experiment& experiment_;
  const Data& data_;
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
  RuleChecker checker(config, diagnostics);
  Rules(&checker).CheckAll();
}

}  // namespace cubist
