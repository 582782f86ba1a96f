// Small checkpoints of all three formats, with tensors whose values tests can state again.
#ifndef CUBIST_TOOLS_INTERCHANGE_TESTING_SAMPLE_FILES_H_
#define CUBIST_TOOLS_INTERCHANGE_TESTING_SAMPLE_FILES_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "tools/training/checkpoint/checkpoint_store.h"

namespace cubist {

// "model": layer.0 to layer.2 with weight float32 [2, 3] = step + layer + element / 2 and bias float32 [2] = 0;
// head.weight float32 [4] = 1, NaN, 0, -1; scale float64 [] = 0.25. "optimizer": step int64 [] = step.
std::map<std::string, std::map<std::string, HostTensor>> SampleTensors(int64_t step);

// Saves them in a store, at this step; best val_loss 1 / step. Nothing is synced.
absl::StatusOr<SaveReport> SaveSample(CheckpointStore& store, int64_t step, const std::string& config_text,
                                      const std::string& config_hash);

// The group "model" alone: a state dict, and a safetensors file.
absl::Status WriteTorchSample(const std::string& path, int64_t step);
absl::Status WriteSafetensorsSample(const std::string& path, int64_t step);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TESTING_SAMPLE_FILES_H_
