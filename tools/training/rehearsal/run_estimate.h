// How long a run will take, from what a step, a validation and a save take.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_RUN_ESTIMATE_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_RUN_ESTIMATE_H_

#include <cstdint>

#include "configs/proto/experiment.pb.h"

namespace cubist {

// Where a run stands and how large its steps are.
struct RunShape {
  int64_t first_step = 0;        // steps done already
  int64_t samples_per_step = 1;  // over all ranks
  int64_t samples_per_epoch = 1;
  bool validates = true;  // there are samples to validate on
};

struct RunCosts {
  double step_seconds = 0, validation_seconds = 0, save_seconds = 0;
};

struct RunEstimate {
  int64_t steps = 0, validations = 0, saves = 0;  // to come
  double seconds = 0;
};

// Of the run from first_step to training.max_steps, which is set, as the loop does it: validations at the start, by
// steps or epochs, and at the end; saves by steps and by time, and at the end.
RunEstimate EstimateRun(const Experiment& config, const RunShape& shape, const RunCosts& costs);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_RUN_ESTIMATE_H_
