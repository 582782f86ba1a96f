// A small checkpoint with everything that a large one can have, and what it must read back as.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_SAMPLE_CHECKPOINT_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_SAMPLE_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/host_tensor.h"
#include "tools/training/checkpoint/checkpoint_reader.h"
#include "tools/training/checkpoint/checkpoint_store.h"

namespace cubist {

// Owns the tensors that `contents` refers to: groups model, ema and optimizer, all dtypes, ranks 0
// to 4, an empty tensor. Two samples that differ in step or variant differ in every tensor that is not empty.
struct SampleCheckpoint {
  std::map<std::string, std::map<std::string, HostTensor>> tensors;
  CheckpointContents contents;
};
SampleCheckpoint MakeSampleCheckpoint(int64_t step, int variant = 0);

// Empty if `checkpoint` holds exactly `sample`, bit for bit; else the first difference.
std::string DifferenceFrom(const SampleCheckpoint& sample, const Checkpoint& checkpoint);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_TESTING_SAMPLE_CHECKPOINT_H_
