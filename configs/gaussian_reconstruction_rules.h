// Rules of the Gaussian reconstruction model that concern several fields at once.
#ifndef CUBIST_CONFIGS_GAUSSIAN_RECONSTRUCTION_RULES_H_
#define CUBIST_CONFIGS_GAUSSIAN_RECONSTRUCTION_RULES_H_

#include "configs/rule_checker.h"

namespace cubist {

// Reports:
//   - no cameras to see or to compare with; cameras without the attributes of their images, sky masks and intrinsics;
//   - lists without elements that the branch or the sky reads; images that a network's levels or patches do not divide;
//   - channels that groups, heads or the sky's halvings do not divide; depths that are not in order;
//   - networks that are needed and have no weights; weights of branches where there is one branch only.
void CheckGaussianReconstructionRules(RuleChecker* checker);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_GAUSSIAN_RECONSTRUCTION_RULES_H_
