#include "configs/gaussian_reconstruction_rules.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "configs/scene_attributes.h"

namespace cubist {
namespace {

constexpr int kPatchOfDepthAnything = 14;
constexpr int kMostLevels = 16;

std::string Path(const std::string& field) { return "gaussian_reconstruction." + field; }

class Rules {
 public:
  explicit Rules(RuleChecker* checker) : checker_(*checker), model_(checker->experiment().gaussian_reconstruction()) {}

  void CheckAll() {
    CheckCameras();
    checker_.Given(Path("image_size"), model_.image_size_size());
    if (checker_.Sound({Path("branch")})) {
      const bool voxel = model_.branch() != GaussianReconstruction::PIXEL;
      const bool pixel = model_.branch() != GaussianReconstruction::VOXEL;
      if (voxel || model_.has_sky_panorama()) CheckConvolutionEncoder();
      if (voxel) CheckVoxelBranch();
      if (pixel) CheckPixelBranch();
      if (!(voxel && pixel)) CheckNoBranchCheckpoints();
    }
    if (model_.has_sky_panorama()) CheckPanorama();
    if (model_.has_sky_mlp_modulator()) CheckModulator();
    CheckRendererAndLoss();
  }

 private:
  void CheckCameras() {
    const std::string input = "data.input_views", supervision = "data.supervision_views";
    checker_.Given(input, checker_.data().input_views_size(), "which says whose images the model sees");
    checker_.Given(supervision, checker_.data().supervision_views_size(),
                   "which says whose images the model is compared with");
    if (!checker_.Sound({input, supervision, "data.attributes"}) || checker_.data().attributes_size() == 0) return;
    std::set<int> seen;
    CheckImageAttributes(input, checker_.data().input_views(), &seen);
    CheckImageAttributes(supervision, checker_.data().supervision_views(), &seen);
    if (!seen.empty()) {
      checker_.NeedAttribute("intrinsic", "which has the focal lengths of the cameras",
                             checker_.config().PlaceOf("data.attributes"));
    }
  }

  void CheckImageAttributes(const std::string& path, const google::protobuf::RepeatedField<int>& views,
                            std::set<int>* seen) {
    for (int i = 0; i < views.size(); ++i) {
      const CameraView view = static_cast<CameraView>(views.Get(i));
      if (!seen->insert(view).second) continue;
      for (const char* kind : {kImageKind, kSkyMaskKind}) {
        if (!AttributeOfView(checker_.data(), kind, view).empty()) continue;
        checker_.ViolationAt(
            checker_.config().PlaceOfElement(path, i), "data.attributes",
            absl::StrCat("data.attributes lacks \"", kind, "_480p_", ViewName(view), "\", which ", path, " needs"),
            {checker_.ValueNote(path)});
      }
    }
  }

  void CheckConvolutionEncoder() {
    checker_.Given(Path("convolution_encoder.channels"), model_.convolution_encoder().channels_size());
  }

  void CheckVoxelBranch() {
    const VoxelBranch& branch = model_.voxel_branch();
    const std::string voxel = Path("voxel_branch.voxel_channels"), base = Path("voxel_branch.base_channels"),
                      levels = Path("voxel_branch.num_levels"), groups = Path("voxel_branch.norm_groups"),
                      features = Path("convolution_encoder.output_channels");
    if (!checker_.Sound({groups})) return;
    const auto check = [&](const std::string& path, int64_t channels, const std::string& what) {
      const size_t before = checker_.reports();
      checker_.CheckGroups(path, channels, what, groups, branch.norm_groups());
      return checker_.reports() == before;
    };
    if (checker_.Sound({voxel})) check(voxel, branch.voxel_channels(), voxel);
    if (!checker_.Sound({base, levels, features})) return;
    for (int level = 0; level < branch.num_levels(); ++level) {
      if (!check(base, int64_t{branch.base_channels()} << level, absl::StrCat("level ", level, " of the network"))) {
        return;
      }
    }
    check(features, int64_t{model_.convolution_encoder().output_channels()} + branch.base_channels(),
          "what a seen voxel knows, features of pixels and of voxels,");
  }

  void CheckPixelBranch() {
    const PixelBranch& branch = model_.pixel_branch();
    const std::string priors = Path("pixel_branch.depth_priors"),
                      multipliers = Path("pixel_branch.channel_multipliers"),
                      blocks = Path("pixel_branch.residual_blocks"), depth = Path("pixel_branch.near");
    std::vector<std::string> names;
    bool depth_anything = false;
    for (const int prior : branch.depth_priors()) {
      names.push_back(PixelBranch::DepthPrior_Name(static_cast<PixelBranch::DepthPrior>(prior)));
      depth_anything |= prior == PixelBranch::DEPTH_ANYTHING_FEATURE;
    }
    checker_.CheckDistinct(priors, names);
    if (depth_anything && checker_.Sound({priors})) CheckDepthAnything();
    checker_.CheckOrder(depth, branch.near(), Path("pixel_branch.far"), branch.far());
    if (!checker_.Given(multipliers, branch.channel_multipliers_size())) return;
    if (branch.residual_blocks_size() != branch.channel_multipliers_size() && checker_.Sound({multipliers, blocks})) {
      checker_.Violation(blocks,
                         absl::StrCat(blocks, " has ", branch.residual_blocks_size(), " levels, and ", multipliers, " ",
                                      branch.channel_multipliers_size()),
                         {checker_.ValueNote(multipliers)});
    }
    if (branch.channel_multipliers_size() > kMostLevels) {
      checker_.Violation(multipliers, absl::StrCat(multipliers, " has more than ", kMostLevels, " levels"));
    } else if (checker_.Sound({multipliers})) {
      CheckImageSize(1 << branch.channel_multipliers_size(), "which the pixel branch halves once a level", multipliers);
    }
  }

  void CheckImageSize(int divisor, const std::string& why, const std::string& value_path) {
    const std::string path = Path("image_size");
    if (model_.image_size_size() != 2 || !checker_.Sound({path})) return;
    for (int i = 0; i < 2; ++i) {
      if (divisor < 1 || model_.image_size(i) % divisor == 0) continue;
      checker_.ViolationAt(checker_.config().PlaceOfElement(path, i), path,
                           absl::StrCat(path, " has ", model_.image_size(i), i == 0 ? " rows" : " columns",
                                        ", which must be a multiple of ", divisor),
                           {why, checker_.ValueNote(value_path)});
      return;
    }
  }

  void CheckDepthAnything() {
    const DepthAnything& network = model_.depth_anything();
    const std::string weights = Path("depth_anything.weights"), random = Path("depth_anything.random_weights"),
                      size = Path("depth_anything.input_size");
    const std::string because =
        "which DEPTH_ANYTHING_FEATURE in gaussian_reconstruction.pixel_branch.depth_priors needs";
    checker_.Given(Path("depth_anything.upsampler_channels"), network.upsampler_channels_size(), because);
    if (checker_.Given(size, network.input_size_size(), because) && checker_.Sound({size})) {
      for (int i = 0; i < network.input_size_size(); ++i) {
        if (network.input_size(i) % kPatchOfDepthAnything == 0) continue;
        checker_.ViolationAt(checker_.config().PlaceOfElement(size, i), size,
                             absl::StrCat(size, " has ", network.input_size(i), ", no multiple of its patches' ",
                                          kPatchOfDepthAnything, " px"));
      }
    }
    if (!checker_.Sound({weights, random})) return;
    if (network.weights().empty() && !network.random_weights()) {
      checker_.Violation(weights, absl::StrCat(weights, " is missing, ", because),
                         {absl::StrCat("for a test without trained weights: ", random, ": true")});
    } else if (!network.weights().empty() && network.random_weights()) {
      checker_.Violation(random, absl::StrCat(random, " and ", weights, " exclude each other"),
                         {checker_.ValueNote(weights)});
    }
  }

  void CheckNoBranchCheckpoints() {
    for (const std::string& path : {Path("voxel_branch.checkpoint"), Path("pixel_branch.checkpoint")}) {
      const bool voxel = path == Path("voxel_branch.checkpoint");
      const std::string& checkpoint = voxel ? model_.voxel_branch().checkpoint() : model_.pixel_branch().checkpoint();
      if (checkpoint.empty() || !checker_.Sound({path})) continue;
      checker_.Violation(path, absl::StrCat(path, " is for branch DUAL; to begin with weights, use --init_from"),
                         {checker_.ValueNote(Path("branch"))});
    }
  }

  void CheckPanorama() {
    const std::string channels = Path("convolution_encoder.output_channels");
    if (model_.convolution_encoder().output_channels() % 4 == 0 || !checker_.Sound({channels})) return;
    checker_.Violation(channels, absl::StrCat(channels, " is ", model_.convolution_encoder().output_channels(),
                                              ", which sky_panorama cannot halve twice"));
  }

  void CheckModulator() {
    const MlpModulatorSky& sky = model_.sky_mlp_modulator();
    const std::string channels = Path("sky_mlp_modulator.embedding_channels"),
                      heads = Path("sky_mlp_modulator.attention_heads"), patch = Path("sky_mlp_modulator.patch_size");
    if (checker_.Sound({channels, heads})) {
      checker_.CheckDivides(heads, sky.embedding_channels(), channels, heads, sky.attention_heads());
    }
    if (checker_.Sound({patch})) CheckImageSize(sky.patch_size(), "which the sky's patches divide", patch);
  }

  void CheckRendererAndLoss() {
    const ReconstructionLoss& loss = model_.loss();
    const std::string perceptual = Path("loss.perceptual_weight"), metric = Path("metrics.lpips");
    checker_.CheckOrder(Path("renderer.near"), model_.renderer().near(), Path("renderer.far"), model_.renderer().far());
    checker_.CheckOrder(Path("loss.depth_near"), loss.depth_near(), Path("loss.depth_far"), loss.depth_far());
    if (loss.perceptual_weight() > 0 && checker_.Sound({perceptual})) {
      checker_.Given(Path("loss.perceptual_network"), loss.perceptual_network(),
                     absl::StrCat("which ", perceptual, " above 0 needs"));
    }
    if (model_.metrics().lpips() && checker_.Sound({metric})) {
      checker_.Given(Path("metrics.lpips_network"), model_.metrics().lpips_network(),
                     absl::StrCat("which ", metric, " needs"));
    }
  }

  RuleChecker& checker_;
  const GaussianReconstruction& model_;
};

}  // namespace

void CheckGaussianReconstructionRules(RuleChecker* checker) { Rules(checker).CheckAll(); }

}  // namespace cubist
