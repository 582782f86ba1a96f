#include "tools/training/rehearsal/trial_steps.h"

#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {

TrialSteps::TrialSteps(const RunParts& parts, Communicator& communicator, int64_t step, int64_t samples_consumed,
                       std::function<bool()> stop_requested)
    : parts_(parts),
      stop_requested_(std::move(stop_requested)),
      step_(*parts.task, parts.shape, *parts.optimizer, communicator, /*observer=*/nullptr),
      steps_done_(step),
      samples_consumed_(samples_consumed),
      batches_(parts.data->Training(static_cast<uint64_t>(samples_consumed))) {}

absl::StatusOr<TrialStep> TrialSteps::Take() {
  const auto begin = std::chrono::steady_clock::now();
  const double waited = batches_->waited_seconds();
  ASSIGN_OR_RETURN(StepResult result,
                   step_.Take(*batches_, steps_done_, samples_consumed_, /*wish_to_save=*/false, stop_requested_));
  if (result.stop || result.given_up) return PreemptedError("asked to stop; nothing was changed, and nothing stays");
  const HostTensor outcome = ToHost(result.outcome);  // waits for the device
  TrialStep step;
  step.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  step.data_seconds = batches_->waited_seconds() - waited;
  step.loss = outcome.data<double>()[0];
  step.gradient_norm = outcome.data<double>()[1];
  step.bad = std::move(result.bad);
  if (result.samples_used == 0) step.loss = step.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  if (outcome.data<double>()[2] == 0 && result.samples_used > 0) {
    return NotFiniteError(
        absl::StrFormat("step %d is not finite: loss %g, gradient norm %g; lower "
                        "learning_rate.initial, or look at the data and the weights it starts from",
                        steps_done_ + 1, step.loss, step.gradient_norm));
  }
  ++steps_done_;
  samples_consumed_ += parts_.shape.global();
  return step;
}

}  // namespace cubist
