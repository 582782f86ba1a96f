#include "tools/slurm/time_limit.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace cubist {

absl::StatusOr<int64_t> ParseTimeLimit(std::string_view text) {
  const absl::Status wrong = ConfigError(absl::StrCat(
      "time_limit '", std::string(text),
      "' is no length of time: write MINUTES, HOURS:MINUTES:SECONDS or DAYS-HOURS:MINUTES:SECONDS, as in 04:00:00"));
  const std::vector<std::string> days =
      absl::StrSplit(absl::string_view(text.data(), text.size()), absl::MaxSplits('-', 1));
  const std::vector<std::string> parts = absl::StrSplit(days.back(), ':');
  std::vector<int64_t> numbers;
  for (const std::string& part : parts) {
    int64_t number = 0;
    const bool is_number = !part.empty() && part.size() <= 7 &&
                           std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || !absl::SimpleAtoi(part, &number)) return wrong;
    numbers.push_back(number);
  }
  if (numbers.size() > 3) return wrong;
  int64_t seconds = 0;
  if (days.size() == 2) {
    int64_t count = 0;
    if (days[0].empty() || days[0].size() > 5 || !absl::SimpleAtoi(days[0], &count) || count < 0) return wrong;
    numbers.resize(3);
    seconds = ((count * 24 + numbers[0]) * 60 + numbers[1]) * 60 + numbers[2];
  } else if (numbers.size() == 3) {
    seconds = (numbers[0] * 60 + numbers[1]) * 60 + numbers[2];
  } else {
    seconds = numbers[0] * 60 + (numbers.size() == 2 ? numbers[1] : 0);
  }
  if (seconds == 0) return wrong;
  return seconds;
}

}  // namespace cubist
