// Small checkpoints for tests: of ours, with the reference's names.
#ifndef CUBIST_TOOLS_INTERCHANGE_TEST_CHECKPOINTS_H_
#define CUBIST_TOOLS_INTERCHANGE_TEST_CHECKPOINTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_tensor.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// Tensors that lie in memory, given out as a checkpoint. Aborts on what no test does.
class MemoryCheckpoint : public AnyCheckpoint {
 public:
  MemoryCheckpoint();
  void Add(const std::string& group, const std::string& name, HostTensor tensor);
  // A float32 tensor whose elements tell its name and place.
  void Add(const std::string& group, const std::string& name, const std::vector<int64_t>& shape);
  CheckpointDescription& description_for_test() { return description_; }
  absl::StatusOr<HostTensor> Read(size_t i) const override { return values_[i]; }

 private:
  std::vector<ListedTensor> listed_;
  std::vector<HostTensor> values_;
};

// The weights of a voxel VAE in small, its optimizer after 12 steps, and the quickstart's config.
std::unique_ptr<MemoryCheckpoint> TestVae();
// A voxel diffusion model with its frozen VAE, averages, and moments of what is trained.
std::unique_ptr<MemoryCheckpoint> TestDiffusion();
// A branch of the Gaussian reconstruction: "voxel" or "pixel", with the recipe's config.
std::unique_ptr<MemoryCheckpoint> TestBranch(std::string_view branch);

// All tensors by "group/name", as text that tells dtype, shape and bytes.
std::map<std::string, std::string> ContentOf(const AnyCheckpoint& checkpoint);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TEST_CHECKPOINTS_H_
