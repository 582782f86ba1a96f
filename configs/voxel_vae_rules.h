// Rules of the voxel VAE that concern several fields at once.
#ifndef CUBIST_CONFIGS_VOXEL_VAE_RULES_H_
#define CUBIST_CONFIGS_VOXEL_VAE_RULES_H_

#include "configs/rule_checker.h"

namespace cubist {

// Reports:
//   - a crop that is not the dense neck: 2 * neck_half_extent cells of voxel_size * 2^(poolings along that axis);
//   - levels that there are not; channels that the groups of the normalisation or latent_cut_ratio do not divide;
//   - an annealing that ends before it begins.
// `crop_is_sound`: what RuleChecker::CheckCrop returned.
void CheckVoxelVaeRules(bool crop_is_sound, RuleChecker* checker);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_VOXEL_VAE_RULES_H_
