// Which weights of a checkpoint a model's own are.
#ifndef CUBIST_TOOLS_INTERCHANGE_WEIGHTS_MATCH_H_
#define CUBIST_TOOLS_INTERCHANGE_WEIGHTS_MATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// What a model wants: name and shape of each of its tensors.
struct WantedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

// Which tensor of `source`, by number, each wanted one comes from. Names in the group "model" are the same, or all
// carry one of `prefixes` in front (the reference's diffusion checkpoints hold the VAE under "vae."); what lies outside
// of the prefix that is used does not count. Strict: a DataError lists what is missing and what is left over.
absl::StatusOr<std::map<std::string, size_t>> MatchWeights(const AnyCheckpoint& source,
                                                           const std::vector<WantedTensor>& wanted,
                                                           const std::vector<std::string>& prefixes);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_WEIGHTS_MATCH_H_
