#include "tools/training/rehearsal/run_estimate.h"

#include <algorithm>

namespace cubist {
namespace {

// Multiples of `interval` in (first, last].
int64_t Multiples(int64_t first, int64_t last, int64_t interval) { return last / interval - first / interval; }

int64_t Validations(const Validation& config, const RunShape& shape, int64_t last) {
  const bool by_steps = config.has_interval_steps();
  if (!shape.validates || (!by_steps && config.interval_epochs() == 0)) return 0;
  const int64_t first = shape.first_step;
  int64_t count = first == 0 && config.at_start() ? 1 : 0;
  if (last == first) return count;
  bool last_is_due = false;
  if (by_steps) {
    count += Multiples(first, last, config.interval_steps());
    last_is_due = last % config.interval_steps() == 0;
  } else {
    // Steps in which so many epochs end, of which a long step may end several.
    const int64_t period = shape.samples_per_epoch * config.interval_epochs(), size = shape.samples_per_step;
    count += period >= size ? Multiples(first * size, last * size, period) : last - first;
    last_is_due = Multiples((last - 1) * size, last * size, period) > 0;
  }
  return last_is_due ? count : count + 1;
}

}  // namespace

RunEstimate EstimateRun(const Experiment& config, const RunShape& shape, const RunCosts& costs) {
  RunEstimate estimate;
  const int64_t last = std::max(shape.first_step, config.training().max_steps());
  estimate.steps = last - shape.first_step;
  estimate.validations = Validations(config.validation(), shape, last);
  estimate.seconds = static_cast<double>(estimate.steps) * costs.step_seconds +
                     static_cast<double>(estimate.validations) * costs.validation_seconds;
  if (estimate.steps == 0) return estimate;
  const Checkpoints& checkpoints = config.checkpoints();
  const int64_t interval = checkpoints.interval_steps();
  if (interval > 0) estimate.saves = Multiples(shape.first_step, last, interval);
  if (interval == 0 || last % interval != 0) ++estimate.saves;  // the last one
  // A save by steps puts that by time off, so only where the clock is faster it counts.
  if (checkpoints.interval_minutes() > 0) {
    estimate.saves =
        std::max(estimate.saves, static_cast<int64_t>(estimate.seconds / (60 * checkpoints.interval_minutes())));
  }
  estimate.seconds += static_cast<double>(estimate.saves) * costs.save_seconds;
  return estimate;
}

}  // namespace cubist
