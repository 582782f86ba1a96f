// One pass over the validation samples, shared out over the ranks.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_VALIDATION_H_
#define CUBIST_TOOLS_TRAINING_LOOP_VALIDATION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/tasks/task.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/run_observer.h"

namespace cubist {

struct ValidationResult {
  bool stop = false;         // some rank wishes to stop
  bool interrupted = false;  // some rank stopped before its end; the numbers below are not set
  int64_t samples_bad = 0;   // over all ranks
  // float64 [2, names], over all ranks; [2, 0] if no batch was evaluated.
  at::Tensor metric_sums;
  std::vector<std::string> metric_names;
  // Of this rank.
  std::vector<BadSample> bad;
  std::shared_ptr<const TaskBatch> first_batch;  // null if it had no good sample
};

// After `step` steps, without gradients. `stop_requested` is polled between batches and while data is waited for.
// `observer` may be null. Errors: those of data and task; PeerLostError.
absl::StatusOr<ValidationResult> RunValidation(const Task& task, const RunData& data, Communicator& communicator,
                                               at::Device device, int64_t step,
                                               const std::function<bool()>& stop_requested, RunObserver* observer);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_VALIDATION_H_
