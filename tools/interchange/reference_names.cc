#include "tools/interchange/reference_names.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace cubist {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace

ReferenceModel ModelOfNames(const std::vector<std::string>& names) {
  const auto any = [&names](std::string_view prefix) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return StartsWith(name, prefix); });
  };
  if (any("backbone.backbone_") || any("img_encoder.encoders.")) return ReferenceModel::kGaussianReconstruction;
  if (any("unet.time_embed.")) return ReferenceModel::kVoxelDiffusion;
  if (any("encoder.mix_fc.") && any("unet.pre_kl_bottleneck.")) return ReferenceModel::kVoxelVae;
  return ReferenceModel::kOther;
}

std::string_view Name(ReferenceModel model) {
  switch (model) {
    case ReferenceModel::kVoxelVae:
      return "voxel VAE";
    case ReferenceModel::kVoxelDiffusion:
      return "voxel diffusion";
    case ReferenceModel::kGaussianReconstruction:
      return "Gaussian reconstruction";
    case ReferenceModel::kOther:
      break;
  }
  return "unknown model";
}

absl::StatusOr<std::map<std::string, std::string>> EmaNames(const std::vector<std::string>& names) {
  static constexpr std::string_view kParameters = "unet.";
  std::map<std::string, std::string> map;
  for (const std::string& name : names) {
    if (!StartsWith(name, kParameters) || IsBuffer(name)) continue;
    const std::string average =
        absl::StrCat(kEmaPrefix, absl::StrReplaceAll(name.substr(kParameters.size()), {{".", ""}}));
    if (const auto [at, is_new] = map.emplace(average, name); !is_new) {
      return DataError(absl::StrCat("the averages of \"", at->second, "\" and \"", name, "\" would both be called \"",
                                    average, "\""));
    }
  }
  return map;
}

bool IsBuffer(std::string_view name) {
  for (const std::string_view suffix : {".running_mean", ".running_var", ".num_batches_tracked"}) {
    if (EndsWith(name, suffix)) return true;
  }
  return StartsWith(name, kEmaPrefix) || name == "scale_factor" || name == "vae_is_finetuned";
}

absl::StatusOr<std::vector<std::string>> OptimizerOrder(const std::vector<std::string>& names, int64_t total) {
  std::vector<std::string> order;
  std::copy_if(names.begin(), names.end(), std::back_inserter(order),
               [](const std::string& name) { return !IsBuffer(name); });
  const ReferenceModel model = ModelOfNames(names);
  const int64_t unsaved = total - static_cast<int64_t>(order.size());
  if (unsaved < 0 || (unsaved > 0 && model != ReferenceModel::kGaussianReconstruction)) {
    return DataError(absl::StrCat("the optimizer has ", total, " parameters, the state dict ", order.size(),
                                  ": which is which cannot be told"));
  }
  if (model != ReferenceModel::kGaussianReconstruction) return order;
  // Encoder, backbone, loss (not saved), sky: the order of its configure_optimizers, whatever the state dict's is.
  const auto part_of = [](std::string_view name) {
    return StartsWith(name, "img_encoder.") ? 0
           : StartsWith(name, "backbone.")  ? 1
           : StartsWith(name, "skybox.")    ? 3
                                            : 2;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](const std::string& a, const std::string& b) { return part_of(a) < part_of(b); });
  const auto sky =
      std::find_if(order.begin(), order.end(), [&](const std::string& name) { return part_of(name) == 3; });
  order.insert(sky, static_cast<size_t>(unsaved), "");
  return order;
}

}  // namespace cubist
