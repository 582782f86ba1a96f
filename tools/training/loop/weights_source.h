// Weights that a run starts from: from our checkpoints, from safetensors files and from the reference's
// .ckpt and .pth files. Knows no LibTorch.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_WEIGHTS_SOURCE_H_
#define CUBIST_TOOLS_TRAINING_LOOP_WEIGHTS_SOURCE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"

namespace cubist {

// Named tensors somewhere, read one at a time.
class WeightsSource {
 public:
  // `reference`: a run folder (its latest checkpoint), a checkpoint folder, a .safetensors file, or a torch
  // zip file (.ckpt, .pth, .pt) that holds a state dict, at its top or under "state_dict".
  // Errors: ConfigError naming --init_from if there is nothing; DataError or StorageError naming the file.
  static absl::StatusOr<std::unique_ptr<WeightsSource>> Open(const std::string& reference);

  virtual ~WeightsSource() = default;
  // Where the weights come from, for messages.
  virtual const std::string& description() const = 0;
  virtual std::vector<std::string> Names() const = 0;
  // An InternalError if there is no tensor of this name.
  virtual absl::StatusOr<HostTensor> Read(const std::string& name) const = 0;
};

// What a model wants: name and shape of each of its tensors.
struct WantedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

// Which tensor of `source` each wanted one comes from. Names are the same, or all carry one of
// `prefixes` in front (the reference's diffusion checkpoints hold the VAE under "vae."); what lies
// outside of the prefix that is used does not count. Strict: a DataError lists what is missing and what
// is left over.
absl::StatusOr<std::map<std::string, std::string>> MatchWeights(const WeightsSource& source,
                                                                const std::vector<WantedTensor>& wanted,
                                                                const std::vector<std::string>& prefixes);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_WEIGHTS_SOURCE_H_
