// One optimizer step of a rank: micro-batches to a gradient, ranks to one sum, the sum to new parameters.
//
// 1. Each micro-batch is evaluated and its loss, the sum over its samples, differentiated into the flat
//    gradient. Metrics are summed on the device.
// 2. One reduction over ranks carries the loss, the metrics, how many samples were used, and what the ranks wish:
//    to stop, to save, or that they gave the step up while they waited for data. All ranks go on from the same
//    numbers, so whatever is stopped or skipped is so on all of them.
// 3. The gradient is summed over ranks, divided by the samples used, checked and clamped, and AdamW takes a step if
//    loss and gradient are finite. That is a predicate on the device: the host neither decides nor waits for it.
//
// With several ranks the host does read the wishes and counts of point 2 in the step itself. On a CPU they are there; a
// device would have to hand them over a step late.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_TRAINING_STEP_H_
#define CUBIST_TOOLS_TRAINING_LOOP_TRAINING_STEP_H_

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
#include "tools/training/loop/rank_numbers.h"
#include "tools/training/loop/run_observer.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {

struct StepResult {
  bool stop = false;                          // some rank wishes to stop after this step
  bool save = false;                          // some rank wishes to save after it
  bool given_up = false;                      // some rank gave up: nothing has changed, and nothing below is set
  int64_t samples_used = 0, samples_bad = 0;  // over all ranks
  // float64 [2, names], over all ranks; [2, 0] if no batch was evaluated.
  at::Tensor metric_sums;
  std::vector<std::string> metric_names;
  // float64 [3], on the device: mean loss, gradient norm, and 1 if the parameters moved.
  at::Tensor outcome;
  // Of this rank.
  std::vector<BadSample> bad;
  std::shared_ptr<const TaskBatch> first_batch;  // null if it had no good sample
};

class TrainingStep {
 public:
  // What is given outlives this object. `observer` may be null.
  TrainingStep(const Task& task, const BatchShape& shape, FlatOptimizer& optimizer, Communicator& communicator,
               RunObserver* observer);

  // The step that follows `step` steps and draws from `first_draw` on. `wish_to_save`: of this rank.
  // `stop_requested` is polled while data is waited for, and is this rank's wish to stop. Errors: those of data
  // and task; PeerLostError.
  absl::StatusOr<StepResult> Take(BatchSource& batches, int64_t step, int64_t first_draw, bool wish_to_save,
                                  const std::function<bool()>& stop_requested);

 private:
  // Adds the micro-batches of this rank to gradient and numbers. False: it gave up.
  absl::StatusOr<bool> Accumulate(BatchSource& batches, int64_t step, const std::function<bool()>& stop_requested,
                                  RankNumbers& numbers, StepResult& result);

  const Task& task_;
  const BatchShape shape_;
  FlatOptimizer& optimizer_;
  Communicator& communicator_;
  RunObserver* const observer_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_TRAINING_STEP_H_
