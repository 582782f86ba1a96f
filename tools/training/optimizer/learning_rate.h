// The learning rate of a config.
#ifndef CUBIST_TOOLS_TRAINING_OPTIMIZER_LEARNING_RATE_H_
#define CUBIST_TOOLS_TRAINING_OPTIMIZER_LEARNING_RATE_H_

#include "configs/proto/experiment.pb.h"
#include "kernels/adamw/schedule.h"

namespace cubist {

inline LearningRateSchedule ScheduleOf(const LearningRate& config) {
  LearningRateSchedule schedule;
  schedule.initial = config.initial();
  schedule.decay_factor = config.decay_factor();
  schedule.decay_samples = static_cast<double>(config.decay_samples());
  schedule.samples_per_step = config.samples_per_step();
  schedule.minimum = config.minimum();
  return schedule;
}

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_OPTIMIZER_LEARNING_RATE_H_
