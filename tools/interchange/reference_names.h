// How the reference names what a checkpoint holds, beside the weights, whose names are ours too: moving averages,
// buffers, and the numbers that stand for parameters in an optimizer's state. Source: spec of the reference's base
// model, its LitEma and PyTorch's Optimizer.state_dict.
#ifndef CUBIST_TOOLS_INTERCHANGE_REFERENCE_NAMES_H_
#define CUBIST_TOOLS_INTERCHANGE_REFERENCE_NAMES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

enum class ReferenceModel { kOther, kVoxelVae, kVoxelDiffusion, kGaussianReconstruction };

// By names that only this model has.
ReferenceModel ModelOfNames(const std::vector<std::string>& names);
std::string_view Name(ReferenceModel model);

// State of the diffusion model's moving average: "unet_ema.<name without its dots>" for the parameter "unet.<name>",
// and two numbers.
inline constexpr char kEmaPrefix[] = "unet_ema.";
inline constexpr char kEmaDecay[] = "unet_ema.decay";
inline constexpr char kEmaUpdates[] = "unet_ema.num_updates";

// Name of a parameter's average -> name of the parameter, for all of `names` that begin with "unet.". DataError if two
// parameters share an average's name.
absl::StatusOr<std::map<std::string, std::string>> EmaNames(const std::vector<std::string>& names);

// Moments of AdamW as torch.optim names them, which is also our prefix: "exp_avg.NAME". The last is AMSGrad's.
inline constexpr const char* kMoments[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};

// Whether an entry of a state dict is no parameter: statistics of batch normalisation, averages, single numbers.
bool IsBuffer(std::string_view name);

// The parameters in the order in which the reference hands them to its optimizer: number i of an optimizer's state is
// element i. `names`: of a state dict, in its order. `total`: how many the optimizer has. Where it has more than the
// state dict (the perceptual loss of the Gaussian reconstruction, which is not saved), those are "".
// DataError if the numbers cannot be brought together.
absl::StatusOr<std::vector<std::string>> OptimizerOrder(const std::vector<std::string>& names, int64_t total);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_REFERENCE_NAMES_H_
