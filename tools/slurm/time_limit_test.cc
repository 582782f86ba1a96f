#include "tools/slurm/time_limit.h"

#include <gtest/gtest.h>

#include <string>

#include "base/status.h"

namespace cubist {
namespace {

TEST(ParseTimeLimit, TheFormsOfSbatch) {
  // The forms that `man sbatch` lists under --time.
  const std::pair<const char*, int64_t> cases[] = {
      {"90", 90 * 60},        {"1:30", 90},
      {"04:00:00", 4 * 3600}, {"2-0", 48 * 3600},
      {"1-12", 36 * 3600},    {"1-1:30", 25 * 3600 + 1800},
      {"0-0:1:5", 65},        {"7-00:00:00", 7 * 24 * 3600},
  };
  for (const auto& [text, seconds] : cases) {
    const auto parsed = ParseTimeLimit(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, seconds) << text;
  }
}

TEST(ParseTimeLimit, AnythingElseIsRefused) {
  for (const char* text : {"", "0", "00:00:00", "-5", "4h", "1:2:3:4", "1-", "-1:00", "1-2-3", "1:", "UNLIMITED", " 5",
                           "1e3", "99999999999999999999"}) {
    EXPECT_EQ(ExitCodeOf(ParseTimeLimit(text).status()), ExitCode::kConfig) << text;
  }
}

}  // namespace
}  // namespace cubist
