#include "tools/training/loop/step_range.h"

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace cubist {

absl::StatusOr<StepRange> ParseStepRange(std::string_view text) {
  const std::string given(text);
  const std::vector<std::string> ends = absl::StrSplit(given, ':');
  StepRange range;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &range.first) || !absl::SimpleAtoi(ends[1], &range.last)) {
    return ConfigError(
        absl::StrCat("\"", given, "\" is no range of steps: give the first and the last one, as in 10:15"));
  }
  if (range.first < 1) return ConfigError(absl::StrCat("\"", given, "\": a run's first step is 1"));
  if (range.last < range.first) {
    return ConfigError(absl::StrCat("\"", given, "\": the last step is before the first one"));
  }
  return range;
}

}  // namespace cubist
