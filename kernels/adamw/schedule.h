// The learning rate and the decay of the moving average as functions of the step, for host and device.
#ifndef CUBIST_KERNELS_ADAMW_SCHEDULE_H_
#define CUBIST_KERNELS_ADAMW_SCHEDULE_H_

#include <cmath>
#include <cstdint>

#include "base/view.h"

namespace cubist {

struct LearningRateSchedule {
  double initial = 1e-4;      // at step 0; greater than 0
  double decay_factor = 1.0;  // the rate is multiplied by this ...
  double decay_samples = 1;   // ... each time this many samples are consumed; greater than 0
  double samples_per_step = 1;
  double minimum = 0.0;  // never below this
};

// initial * max(decay_factor ^ floor(k * samples_per_step / decay_samples), minimum / initial), where
// k counts the optimizer steps done before this one (the reference's LambdaLR).
CUBIST_HOST_DEVICE inline double LearningRateAt(const LearningRateSchedule& schedule, int64_t k) {
  const double decays = std::floor(static_cast<double>(k) * schedule.samples_per_step / schedule.decay_samples);
  const double factor = std::pow(schedule.decay_factor, decays);
  const double least = schedule.minimum / schedule.initial;
  return schedule.initial * (factor > least ? factor : least);
}

// Decay of the moving average at its n-th update, n = 1, 2, ...: min(decay, (1 + n) / (10 + n)).
CUBIST_HOST_DEVICE inline double EmaDecayAt(double decay, int64_t n) {
  const double warm_up = (1.0 + static_cast<double>(n)) / (10.0 + static_cast<double>(n));
  return decay < warm_up ? decay : warm_up;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_ADAMW_SCHEDULE_H_
