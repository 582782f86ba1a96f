// Looks on while a run goes on: --replay_step reports from here, and tests disturb a run here.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_RUN_OBSERVER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_RUN_OBSERVER_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "tools/tasks/task.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {

// Called by the thread that trains. `step`: the step at hand, counted from 1; of validation and saving: steps done.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // After the backward of a micro-batch of this rank.
  virtual void MicroBatchDone(int64_t /*step*/, const MicroBatch& /*micro_batch*/, const Evaluation& /*evaluation*/) {}
  // `gradient`: the sum over this rank's samples, float32 or float64 [M]; not yet summed over ranks, divided, checked
  // and clamped.
  virtual void GradientReady(int64_t /*step*/, int64_t /*first_draw*/, const at::Tensor& /*gradient*/) {}
  // After the update; the optimizer's tensors may be changed.
  virtual void StepDone(int64_t /*step*/, const FlatOptimizer& /*optimizer*/) {}
  virtual void ValidationBatchDone(int64_t /*step*/) {}
  virtual void Saved(int64_t /*step*/) {}
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_RUN_OBSERVER_H_
