#include "configs/voxel_vae_rules.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "configs/canonical_text.h"

namespace cubist {
namespace {

class Rules {
 public:
  explicit Rules(RuleChecker* checker) : checker_(*checker), vae_(checker->experiment().voxel_vae()) {}

  void CheckAll(bool crop_is_sound) {
    checker_.Given("voxel_vae.neck_half_extent", vae_.neck_half_extent_size());
    if (crop_is_sound) CheckCropNeck();
    CheckLevels();
    CheckChannels();
    CheckAnneal();
  }

 private:
  void CheckGroups(const std::string& path, int64_t channels, const std::string& what) {
    checker_.CheckGroups(path, channels, what, "voxel_vae.norm_groups", vae_.norm_groups());
  }

  // As in the reference: each level but the finest halves forward and left; the listed ones halve the height too.
  int Poolings(int axis) const {
    if (axis < 2) return vae_.num_levels() - 1;
    const std::set<int> levels(vae_.pool_height_levels().begin(), vae_.pool_height_levels().end());
    return static_cast<int>(
        std::count_if(levels.begin(), levels.end(), [&](int l) { return l >= 1 && l < vae_.num_levels(); }));
  }

  void CheckCropNeck() {
    if (vae_.neck_half_extent_size() != 3 ||
        !checker_.Sound({"voxel_vae.neck_half_extent", "voxel_vae.num_levels", "voxel_vae.pool_height_levels"})) {
      return;
    }
    std::map<int, std::string> wrong;
    for (int axis = 0; axis < 3; ++axis) {
      const int cell = 1 << Poolings(axis);
      const double neck = 2.0 * vae_.neck_half_extent(axis) * cell;
      if (SameLength(checker_.CropVoxels(axis), neck)) continue;
      // Rounded so that it reads as people write it.
      const double length = std::round(neck * checker_.data().voxel_size() * 1e9) / 1e9;
      wrong[axis] = absl::StrCat(
          checker_.CropText(axis), " has ", ShortestNumber(std::round(checker_.CropVoxels(axis))),
          " voxels, but the dense neck covers ", ShortestNumber(neck), ": 2 * ", vae_.neck_half_extent(axis),
          " cells of ", cell, " voxels, so the crop must be ", ShortestNumber(length), " m long");
    }
    checker_.ReportAxes(wrong, {"voxel_vae.neck_half_extent", "voxel_vae.num_levels", "voxel_vae.pool_height_levels",
                                "data.crop_min", "data.voxel_size"});
  }

  void CheckLevels() {
    const std::string path = "voxel_vae.pool_height_levels";
    std::set<int> seen;
    for (int i = 0; i < vae_.pool_height_levels_size(); ++i) {
      const int level = vae_.pool_height_levels(i);
      if (level >= vae_.num_levels() && checker_.Sound({"voxel_vae.num_levels"})) {
        checker_.ViolationAt(checker_.config().PlaceOfElement(path, i), path,
                             absl::StrCat(path, " has level ", level, ", but the coarsest is ", vae_.num_levels() - 1),
                             {checker_.ValueNote("voxel_vae.num_levels")});
      } else if (!seen.insert(level).second) {
        checker_.ViolationAt(checker_.config().PlaceOfElement(path, i), path,
                             absl::StrCat(path, " has level ", level, " twice"));
      }
    }
  }

  void CheckChannels() {
    const std::string encoder = "voxel_vae.encoder_channels", base = "voxel_vae.base_channels",
                      cut = "voxel_vae.latent_cut_ratio", groups = "voxel_vae.norm_groups",
                      levels = "voxel_vae.num_levels";
    if (checker_.Sound({encoder, groups})) CheckGroups(encoder, vae_.encoder_channels(), encoder);
    // If the finest level's channels divide, or are fewer, the coarser ones may still not: 6 * 2 with 8 groups.
    if (!checker_.Sound({base, levels, groups, cut}) || vae_.num_levels() < 2 || vae_.num_levels() > 6) return;
    for (int level = 0; level < vae_.num_levels(); ++level) {
      const size_t before = checker_.reports();
      CheckGroups(base, int64_t{vae_.base_channels()} << level, absl::StrCat("level ", level, " of the network"));
      if (checker_.reports() > before) break;
    }
    const int64_t neck = int64_t{vae_.base_channels()} << (vae_.num_levels() - 1);
    if (vae_.latent_cut_ratio() < 1) return;
    if (neck % vae_.latent_cut_ratio() != 0) {
      checker_.Violation(cut,
                         absl::StrCat("the neck has ", neck, " channels, which voxel_vae.latent_cut_ratio, ",
                                      vae_.latent_cut_ratio(), ", does not divide"),
                         {checker_.ValueNote(base), checker_.ValueNote(levels)});
    } else {
      CheckGroups(cut, neck / vae_.latent_cut_ratio(), "the latent");
    }
  }

  void CheckAnneal() {
    if (!vae_.has_kl_anneal()) return;
    const KlAnneal& anneal = vae_.kl_anneal();
    const std::string path = "voxel_vae.kl_anneal";
    if (!checker_.Sound({path})) return;
    if (anneal.start_step() >= anneal.end_step()) {
      checker_.Violation(path + ".end_step", absl::StrCat("voxel_vae.kl_anneal ends at step ", anneal.end_step(),
                                                          ", not after it starts at step ", anneal.start_step()));
    }
    if (anneal.weight_min() > anneal.weight_max()) {
      checker_.Violation(path + ".weight_max",
                         absl::StrCat("voxel_vae.kl_anneal.weight_max, ", ShortestNumber(anneal.weight_max()),
                                      ", is below weight_min, ", ShortestNumber(anneal.weight_min())));
    }
  }

  RuleChecker& checker_;
  const VoxelVae& vae_;
};

}  // namespace

void CheckVoxelVaeRules(bool crop_is_sound, RuleChecker* checker) { Rules(checker).CheckAll(crop_is_sound); }

}  // namespace cubist
