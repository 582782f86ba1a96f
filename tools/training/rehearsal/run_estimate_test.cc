#include "tools/training/rehearsal/run_estimate.h"

#include <gtest/gtest.h>

namespace cubist {
namespace {

// Goes through the run step by step, as tools/training/loop/trainer.cc does.
RunEstimate Walked(const Experiment& config, const RunShape& shape) {
  RunEstimate walked;
  const Validation& validation = config.validation();
  const int64_t max_steps = config.training().max_steps();
  const bool validates = shape.validates && (validation.has_interval_steps() || validation.interval_epochs() > 0);
  if (validates && shape.first_step == 0 && validation.at_start()) ++walked.validations;
  int64_t saved = -1;
  for (int64_t step = shape.first_step + 1; step <= max_steps; ++step) {
    ++walked.steps;
    bool due = step == max_steps;
    if (validation.has_interval_steps()) {
      due |= step % validation.interval_steps() == 0;
    } else if (validates) {
      const int64_t period = shape.samples_per_epoch * validation.interval_epochs();
      due |= step * shape.samples_per_step / period != (step - 1) * shape.samples_per_step / period;
    }
    if (validates && due) ++walked.validations;
    if (config.checkpoints().interval_steps() > 0 && step % config.checkpoints().interval_steps() == 0) {
      ++walked.saves;
      saved = step;
    }
  }
  if (walked.steps > 0 && saved != max_steps) ++walked.saves;
  return walked;
}

TEST(RunEstimateTest, CountsWhatTheLoopDoes) {
  for (const int64_t max_steps : {0, 1, 7, 24, 25}) {
    for (const int64_t first : {0, 1, 6, 24, 30}) {
      for (const int64_t samples : {1, 4, 10}) {
        for (const int64_t epoch : {3, 4, 10, 100}) {
          for (const int64_t save_interval : {0, 1, 5, 24}) {
            for (const int64_t by_steps : {0, 1, 6}) {
              for (const int epochs : {0, 1, 2}) {
                Experiment config;
                config.mutable_training()->set_max_steps(max_steps);
                config.mutable_checkpoints()->set_interval_steps(save_interval);
                config.mutable_checkpoints()->set_interval_minutes(0);
                config.mutable_validation()->set_at_start(max_steps % 2 == 0);
                config.mutable_validation()->set_interval_epochs(epochs);
                if (by_steps > 0) config.mutable_validation()->set_interval_steps(by_steps);
                const RunShape shape = {first, samples, epoch, /*validates=*/true};
                const RunEstimate walked = Walked(config, shape), estimated = EstimateRun(config, shape, {1, 10, 100});
                ASSERT_EQ(estimated.steps, walked.steps);
                ASSERT_EQ(estimated.validations, walked.validations)
                    << max_steps << " " << first << " " << samples << " " << epoch << " " << by_steps << " " << epochs;
                ASSERT_EQ(estimated.saves, walked.saves) << max_steps << " " << first << " " << save_interval;
                ASSERT_DOUBLE_EQ(estimated.seconds,
                                 static_cast<double>(walked.steps + 10 * walked.validations + 100 * walked.saves));
              }
            }
          }
        }
      }
    }
  }
}

TEST(RunEstimateTest, SavesByTime) {
  Experiment config;
  config.mutable_training()->set_max_steps(1000);
  config.mutable_validation()->set_interval_epochs(0);
  config.mutable_checkpoints()->set_interval_steps(0);
  config.mutable_checkpoints()->set_interval_minutes(10);
  EXPECT_EQ(EstimateRun(config, {}, {6, 0, 1}).saves, 10);     // 6000 s
  EXPECT_EQ(EstimateRun(config, {}, {0.001, 0, 1}).saves, 1);  // the last one
  EXPECT_DOUBLE_EQ(EstimateRun(config, {}, {6, 0, 1}).seconds, 6010);
}

TEST(RunEstimateTest, NothingToValidateOn) {
  Experiment config;
  config.mutable_training()->set_max_steps(10);
  config.mutable_validation()->set_interval_steps(2);
  config.mutable_checkpoints()->set_interval_steps(5);
  EXPECT_EQ(EstimateRun(config, {0, 1, 1, /*validates=*/false}, {}).validations, 0);
}

}  // namespace
}  // namespace cubist
