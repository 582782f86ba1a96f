// Real steps, timed, of a run that is not going to be.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_STEPS_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_STEPS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/run_parts.h"
#include "tools/training/loop/training_step.h"

namespace cubist {

struct TrialStep {
  double seconds = 0;       // of the whole step, the wait included
  double data_seconds = 0;  // of them waiting for data
  // Mean over the step's samples, and of their gradient. NaN if all of them were bad: then nothing moved.
  double loss = 0, gradient_norm = 0;
  std::vector<BadSample> bad;  // of this rank, which data.bad_samples leaves out
};

// The parameters in `parts` move as they would in the run.
class TrialSteps {
 public:
  // From the step after `step`, whose first draw is `samples_consumed`. What is given outlives this object.
  TrialSteps(const RunParts& parts, Communicator& communicator, int64_t step, int64_t samples_consumed,
             std::function<bool()> stop_requested);

  // All ranks take the step together; returns when its numbers are there. Errors, besides those of TrainingStep::Take:
  // PreemptedError when some rank was asked to stop, NotFiniteError when loss or gradient is not finite.
  absl::StatusOr<TrialStep> Take();

 private:
  const RunParts& parts_;
  const std::function<bool()> stop_requested_;
  TrainingStep step_;
  int64_t steps_done_, samples_consumed_;
  std::unique_ptr<BatchSource> batches_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_TRIAL_STEPS_H_
