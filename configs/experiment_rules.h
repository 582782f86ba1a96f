// Rules of an Experiment that concern several fields at once, and the preset `compat: REFERENCE`.
#ifndef CUBIST_CONFIGS_EXPERIMENT_RULES_H_
#define CUBIST_CONFIGS_EXPERIMENT_RULES_H_

#include "configs/diagnostics.h"
#include "configs/layered_config.h"

namespace cubist {

// `compat: REFERENCE` makes true, where no file or flag says otherwise:
//   gradient.clip_each_micro_batch, gradient.batch_mean_over_voxels, data.label_lookup_half_to_even.
// Nothing else reads compat. The message of `config` must be an Experiment.
void ExpandCompatibility(LayeredConfig* config);

// Reports:
//   - not exactly one model;
//   - a run name that cannot be a folder's;
//   - crop corners that are not in order, whose distance is no whole number of voxels, or, for the voxel VAE,
//     not the dense neck: 2 * neck_half_extent cells of voxel_size * 2^(poolings along that axis);
//   - start frames that leave no room for the offsets; scenes to be made that are too short for them;
//   - attributes without the pose or without exactly one point cloud, without what cars or maps need;
//   - channels that the groups of the normalisation or latent_cut_ratio do not divide;
//   - a global batch that per_gpu does not divide, a learning rate below its minimum, an annealing that ends
//     before it begins.
// A rule whose fields could not be read is left out. The message of `config` must be an Experiment.
void CheckExperimentRules(const LayeredConfig& config, Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_EXPERIMENT_RULES_H_
