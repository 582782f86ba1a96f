#include "tools/training/loop/validation.h"

#include <ATen/core/grad_mode.h>

#include <optional>

#include "base/status.h"
#include "tools/training/loop/rank_numbers.h"

namespace cubist {

absl::StatusOr<ValidationResult> RunValidation(const Task& task, const RunData& data, Communicator& communicator,
                                               at::Device device, int64_t step,
                                               const std::function<bool()>& stop_requested, RunObserver* observer) {
  const at::NoGradGuard no_gradients;
  ValidationResult result;
  RankNumbers numbers(device);
  const std::unique_ptr<BatchSource> batches = data.Validation();
  const int64_t count = data.validation_batches();
  for (int64_t i = 0; i < count; ++i) {
    std::optional<MicroBatch> micro_batch;
    if (!stop_requested()) {
      ASSIGN_OR_RETURN(micro_batch, batches->Next(stop_requested));
    }
    if (!micro_batch.has_value()) {
      numbers.given_up = 1;
      break;
    }
    result.bad.insert(result.bad.end(), micro_batch->bad.begin(), micro_batch->bad.end());
    if (micro_batch->batch == nullptr) continue;
    ASSIGN_OR_RETURN(const Evaluation evaluation, task.Evaluate(*micro_batch->batch, step, /*training=*/false));
    numbers.Add(evaluation, micro_batch->batch->size);
    if (result.first_batch == nullptr) result.first_batch = micro_batch->batch;
    if (observer != nullptr) observer->ValidationBatchDone(step);
  }
  numbers.stop = stop_requested() ? 1 : 0;
  numbers.samples_bad = static_cast<int64_t>(result.bad.size());
  RETURN_IF_ERROR(numbers.Reduce(communicator));
  result.stop = numbers.stop > 0;
  result.interrupted = numbers.given_up > 0;
  result.samples_bad = numbers.samples_bad;
  result.metric_sums = numbers.metric_sums();
  result.metric_names = numbers.metric_names();
  return result;
}

}  // namespace cubist
