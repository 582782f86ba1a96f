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
//   - crop corners that are not in order, whose distance is no whole number of voxels;
//   - start frames that leave no room for the offsets; scenes to be made that are too short for them;
//   - the same camera twice, more images to draw than a sample has;
//   - attributes without the pose or without exactly one point cloud, without what cars or maps need;
//   - a global batch that per_gpu does not divide, a learning rate below its minimum;
//   - what the rules of the model say: voxel_vae_rules.h, voxel_diffusion_rules.h, gaussian_reconstruction_rules.h.
// A rule whose fields could not be read is left out. The message of `config` must be an Experiment.
void CheckExperimentRules(const LayeredConfig& config, Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_EXPERIMENT_RULES_H_
