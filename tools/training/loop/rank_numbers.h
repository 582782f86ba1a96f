// What ranks tell each other in one reduction: what they wish and counted, the loss, and a task's metrics.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RANK_NUMBERS_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RANK_NUMBERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/tasks/task.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/batch_source.h"

namespace cubist {

class RankNumbers {
 public:
  // Metrics that a task may have. The reduction has room for all of them, because a rank that got no good sample
  // does not know how many there are.
  static constexpr int64_t kMaxMetrics = 256;

  explicit RankNumbers(at::Device device) : device_(device) {}

  // Of this rank before Reduce(), sums over all ranks after it. The first three: ranks that wish to stop, that wish to
  // save, and that gave up while they waited for data.
  int64_t stop = 0, save = 0, given_up = 0;
  int64_t samples_used = 0, samples_bad = 0;

  // Adds a batch of `samples` samples.
  void Add(const Evaluation& evaluation, int64_t samples);

  // Errors: those of the communicator; InternalError for too many metrics.
  absl::Status Reduce(Communicator& communicator);

  // After Reduce(), on the device. float64 [1] each: the sum of the samples' losses, and samples_used.
  at::Tensor loss() const { return reduced_.narrow(0, kLoss, 1); }
  at::Tensor samples() const { return reduced_.narrow(0, kSamplesUsed, 1); }
  // float64 [2, names]: sums and weights. [2, 0] if no rank added a batch.
  at::Tensor metric_sums() const;
  const std::vector<std::string>& metric_names() const { return names_; }

 private:
  // A rank that got no good sample learns the names from one that did.
  absl::Status LearnNames(Communicator& communicator);

  // Places in the vector that is reduced.
  enum { kStop, kSave, kGivenUp, kSamplesUsed, kSamplesBad, kCounts, kLoss = kCounts, kMetrics };

  const at::Device device_;
  std::vector<std::string> names_;
  at::Tensor loss_, sums_;
  at::Tensor reduced_;  // float64 [kMetrics + 2 * kMaxMetrics]
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RANK_NUMBERS_H_
