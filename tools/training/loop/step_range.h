// Steps of a run as --profile_steps names them.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_STEP_RANGE_H_
#define CUBIST_TOOLS_TRAINING_LOOP_STEP_RANGE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// Steps `first` to `last`, both included; a run's first step is 1.
struct StepRange {
  int64_t first = 1;
  int64_t last = 1;

  bool contains(int64_t step) const { return first <= step && step <= last; }
};

// "10:15". ConfigError, whose message says what is wrong with `text`.
absl::StatusOr<StepRange> ParseStepRange(std::string_view text);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_STEP_RANGE_H_
