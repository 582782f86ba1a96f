#include "configs/voxel_diffusion_rules.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "configs/canonical_text.h"

namespace cubist {
namespace {

constexpr int kMostLevels = 16;  // of a network: more would shrink any grid to nothing

class Rules {
 public:
  explicit Rules(RuleChecker* checker)
      : checker_(*checker), diffusion_(checker->experiment().voxel_diffusion()), unet_(diffusion_.unet()) {}

  void CheckAll(bool crop_is_sound) {
    CheckLatents();
    const std::string size = "voxel_diffusion.latent_size";
    if (checker_.Given(size, diffusion_.latent_size_size()) && crop_is_sound && checker_.Sound({size})) {
      CheckLatentSize();
    }
    if (checker_.Given(kMultipliers, unet_.channel_multipliers_size()) && checker_.Sound({kMultipliers})) {
      CheckLevels();
      CheckChannels();
      CheckAttention();
    }
    CheckNoise();
    CheckConditions();
  }

 private:
  void CheckLatents() {
    checker_.Given("voxel_diffusion.vae.config", diffusion_.vae().config(), "which says how the VAE is built");
    checker_.Given("voxel_diffusion.vae.checkpoint", diffusion_.vae().checkpoint(),
                   "which has the weights of the VAE whose latents are learnt");
    const std::string by_std = "voxel_diffusion.scale_latents_by_std", scale = "voxel_diffusion.latent_scale";
    if (!diffusion_.scale_latents_by_std() || diffusion_.latent_scale() == 1 || !checker_.Sound({by_std, scale})) {
      return;
    }
    checker_.Violation(scale,
                       absl::StrCat(scale, " is ", ShortestNumber(diffusion_.latent_scale()),
                                    ", but the latents are scaled by their standard deviation"),
                       {absl::StrCat("leave it out, or set ", by_std, ": false"), checker_.ValueNote(by_std)});
  }

  void CheckLatentSize() {
    std::map<int, std::string> wrong;
    for (int axis = 0; axis < 3; ++axis) {
      const double ratio = checker_.CropVoxels(axis) / diffusion_.latent_size(axis);
      const double power = std::exp2(std::round(std::log2(ratio)));
      if (power >= 1 && SameLength(ratio, power)) continue;
      wrong[axis] =
          absl::StrCat(checker_.CropText(axis), " has ", ShortestNumber(std::round(checker_.CropVoxels(axis))),
                       " voxels, which is no power of two times the ", diffusion_.latent_size(axis), " latent cells");
    }
    checker_.ReportAxes(wrong, {"voxel_diffusion.latent_size", "data.crop_min", "data.voxel_size"});
  }

  int levels() const { return unet_.channel_multipliers_size(); }

  void CheckLevels() {
    const std::string size = "voxel_diffusion.latent_size";
    if (levels() > kMostLevels) {
      checker_.Violation(kMultipliers,
                         absl::StrCat(kMultipliers, " has ", levels(), " levels, more than ", kMostLevels));
      return;
    }
    if (diffusion_.latent_size_size() != 3 || !checker_.Sound({size})) return;
    const int factor = 1 << (levels() - 1);
    for (int axis = 0; axis < 3; ++axis) {
      if (diffusion_.latent_size(axis) % factor == 0) continue;
      checker_.ViolationAt(checker_.config().PlaceOfElement(size, axis), size,
                           absl::StrCat(size, " has ", diffusion_.latent_size(axis), " cells, which the network's ",
                                        levels(), " levels cannot halve ", levels() - 1, " times"),
                           {checker_.ValueNote(kMultipliers)});
      return;
    }
  }

  int64_t LevelChannels(int level) const { return int64_t{unet_.model_channels()} * unet_.channel_multipliers(level); }

  void CheckChannels() {
    const std::string channels = "voxel_diffusion.unet.model_channels", groups = "voxel_diffusion.unet.norm_groups";
    if (!checker_.Sound({channels, groups})) return;
    if (unet_.model_channels() % 2 != 0) {
      checker_.Violation(channels, absl::StrCat(channels, " is ", unet_.model_channels(),
                                                ", but half of the timestep's embedding are cosines, half sines"));
    }
    for (int level = 0; level < levels(); ++level) {
      const size_t before = checker_.reports();
      checker_.CheckDivides(channels, LevelChannels(level), absl::StrCat("the width of level ", level), groups,
                            unet_.norm_groups());
      if (checker_.reports() > before) return;
    }
  }

  void CheckAttention() {
    const std::string path = "voxel_diffusion.unet.attention_resolutions",
                      heads = "voxel_diffusion.unet.attention_heads";
    if (!checker_.Sound({path}) || levels() > kMostLevels) return;
    std::vector<std::string> elements, allowed;
    for (int level = 0; level < levels(); ++level) allowed.push_back(std::to_string(1 << level));
    std::map<int, bool> attends;  // the middle, at the coarsest level, always does
    attends[levels() - 1] = true;
    for (int i = 0; i < unet_.attention_resolutions_size(); ++i) {
      const std::string text = std::to_string(unet_.attention_resolutions(i));
      elements.push_back(text);
      int level = 0;
      while (level < levels() && allowed[level] != text) ++level;
      if (level < levels()) {
        attends[level] = true;
        continue;
      }
      checker_.ViolationAt(checker_.config().PlaceOfElement(path, i), path,
                           absl::StrCat(path, " has ", text, ", but the network's levels are ",
                                        absl::StrJoin(allowed, ", "), " times smaller than the latents"),
                           {checker_.ValueNote(kMultipliers)});
    }
    checker_.CheckDistinct(path, elements);
    if (!checker_.Sound({heads, "voxel_diffusion.unet.model_channels"})) return;
    for (const auto& [level, unused] : attends) {
      const size_t before = checker_.reports();
      checker_.CheckDivides(heads, LevelChannels(level), absl::StrCat("the width of level ", level, ", which attends,"),
                            heads, unet_.attention_heads());
      if (checker_.reports() > before) return;
    }
  }

  void CheckNoise() {
    const NoiseSchedule& schedule = diffusion_.noise_schedule();
    checker_.CheckOrder("voxel_diffusion.noise_schedule.beta_start", schedule.beta_start(),
                        "voxel_diffusion.noise_schedule.beta_end", schedule.beta_end());
    const std::string steps = "voxel_diffusion.sampler.steps", all = "voxel_diffusion.noise_schedule.steps";
    if (diffusion_.sampler().steps() <= schedule.steps() || !checker_.Sound({steps, all})) return;
    checker_.Violation(steps,
                       absl::StrCat(steps, " is ", diffusion_.sampler().steps(), ", but there are only ",
                                    schedule.steps(), " timesteps"),
                       {checker_.ValueNote(all)});
  }

  void CheckConditions() {
    const DiffusionConditions& conditions = diffusion_.conditions();
    const std::string maps = "voxel_diffusion.conditions.maps", boxes = "voxel_diffusion.conditions.boxes",
                      occupancy = "voxel_diffusion.conditions.box_occupancy";
    if (conditions.maps() && checker_.data().map_types_size() == 0 && checker_.Sound({maps, "data.map_types"})) {
      checker_.Violation("data.map_types", "data.map_types is missing, which voxel_diffusion.conditions.maps needs",
                         {absl::StrCat("or set ", maps, ": false")});
    }
    if (conditions.box_occupancy() && !conditions.boxes() && checker_.Sound({boxes, occupancy})) {
      checker_.Violation(occupancy, absl::StrCat(occupancy, " needs ", boxes), {checker_.ValueNote(boxes)});
    }
    if (!conditions.boxes() || checker_.data().replace_cars_with_cad() ||
        !checker_.Sound({boxes, "data.attributes", "data.replace_cars_with_cad"})) {
      return;  // data.replace_cars_with_cad needs the same attributes, and has said so
    }
    for (const char* attribute : {"static_object_info", "dynamic_object_info"}) {
      checker_.NeedAttribute(attribute, absl::StrCat("which ", boxes, " needs"), checker_.config().PlaceOf(boxes));
    }
  }

  const std::string kMultipliers = "voxel_diffusion.unet.channel_multipliers";

  RuleChecker& checker_;
  const VoxelDiffusion& diffusion_;
  const DenoisingUnet& unet_;
};

}  // namespace

void CheckVoxelDiffusionRules(bool crop_is_sound, RuleChecker* checker) { Rules(checker).CheckAll(crop_is_sound); }

}  // namespace cubist
