// Rules of the voxel diffusion model that concern several fields at once.
#ifndef CUBIST_CONFIGS_VOXEL_DIFFUSION_RULES_H_
#define CUBIST_CONFIGS_VOXEL_DIFFUSION_RULES_H_

#include "configs/rule_checker.h"

namespace cubist {

// Reports:
//   - no VAE, or no weights of it; latents that are scaled twice;
//   - a crop whose voxels are no power of two times latent_size; latents that the network's levels do not halve;
//   - channels that groups or heads do not divide; attention at a level that there is not, or twice;
//   - a noise schedule that does not rise; more sampling steps than it has timesteps;
//   - conditions without the maps or attributes that they are made of.
// `crop_is_sound`: what RuleChecker::CheckCrop returned.
void CheckVoxelDiffusionRules(bool crop_is_sound, RuleChecker* checker);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_VOXEL_DIFFUSION_RULES_H_
