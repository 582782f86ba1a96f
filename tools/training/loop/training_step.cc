#include "tools/training/loop/training_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/logical_and.h>
#include <ATen/record_function.h>

#include <optional>

#include "base/status.h"

namespace cubist {

TrainingStep::TrainingStep(const Task& task, const BatchShape& shape, FlatOptimizer& optimizer,
                           Communicator& communicator, RunObserver* observer)
    : task_(task), shape_(shape), optimizer_(optimizer), communicator_(communicator), observer_(observer) {}

absl::StatusOr<StepResult> TrainingStep::Take(BatchSource& batches, int64_t step, int64_t first_draw, bool wish_to_save,
                                              const std::function<bool()>& stop_requested) {
  StepResult result;
  RankNumbers numbers(optimizer_.gradient().device());
  optimizer_.ZeroGradient();
  ASSIGN_OR_RETURN(const bool complete, Accumulate(batches, step, stop_requested, numbers, result));
  numbers.given_up = complete ? 0 : 1;
  numbers.stop = stop_requested() ? 1 : 0;
  numbers.save = wish_to_save ? 1 : 0;
  numbers.samples_bad = static_cast<int64_t>(result.bad.size());
  {
    RECORD_USER_SCOPE("agree");  // waits for the slowest rank
    RETURN_IF_ERROR(numbers.Reduce(communicator_));
  }
  result.stop = numbers.stop > 0;
  result.save = numbers.save > 0;
  result.given_up = numbers.given_up > 0;
  if (result.given_up) return result;

  const at::NoGradGuard no_gradients;
  if (observer_ != nullptr) observer_->GradientReady(step + 1, first_draw, optimizer_.gradient());
  {
    RECORD_USER_SCOPE("reduce");
    RETURN_IF_ERROR(communicator_.AllReduceSum(optimizer_.gradient()));
  }
  const at::Tensor proceed = at::isfinite(numbers.loss()).logical_and_(numbers.samples() > 0);
  {
    RECORD_USER_SCOPE("optimizer");
    optimizer_.Step(numbers.samples(), proceed);
  }
  if (observer_ != nullptr) observer_->StepDone(step + 1, optimizer_);
  result.samples_used = numbers.samples_used;
  result.samples_bad = numbers.samples_bad;
  result.metric_sums = numbers.metric_sums();
  result.metric_names = numbers.metric_names();
  result.outcome =
      at::cat({numbers.loss() / numbers.samples(), optimizer_.gradient_norm(), optimizer_.taken().to(at::kDouble)});
  return result;
}

absl::StatusOr<bool> TrainingStep::Accumulate(BatchSource& batches, int64_t step,
                                              const std::function<bool()>& stop_requested, RankNumbers& numbers,
                                              StepResult& result) {
  for (int64_t i = 0; i < shape_.accumulate; ++i) {
    std::optional<MicroBatch> micro_batch;
    {
      RECORD_USER_SCOPE("data wait");
      ASSIGN_OR_RETURN(micro_batch, batches.Next(stop_requested));
    }
    if (!micro_batch.has_value()) return false;
    result.bad.insert(result.bad.end(), micro_batch->bad.begin(), micro_batch->bad.end());
    if (micro_batch->batch == nullptr) continue;
    Evaluation evaluation;
    {
      RECORD_USER_SCOPE("forward");
      ASSIGN_OR_RETURN(evaluation, task_.Evaluate(*micro_batch->batch, step, /*training=*/true));
    }
    {
      RECORD_USER_SCOPE("backward");
      evaluation.loss.backward();
    }
    const at::NoGradGuard no_gradients;
    if (i + 1 < shape_.accumulate) optimizer_.BetweenMicroBatches(shape_.of_rank());
    numbers.Add(evaluation, micro_batch->batch->size);
    if (result.first_batch == nullptr) result.first_batch = micro_batch->batch;
    if (observer_ != nullptr) observer_->MicroBatchDone(step + 1, *micro_batch, evaluation);
  }
  return true;
}

}  // namespace cubist
