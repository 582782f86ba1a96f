#include "tools/training/loop/step_range.h"

#include <gtest/gtest.h>

#include "base/status.h"

namespace cubist {
namespace {

TEST(StepRangeTest, BothEndsBelongToIt) {
  const auto range = ParseStepRange("10:15");
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->first, 10);
  EXPECT_EQ(range->last, 15);
  EXPECT_FALSE(range->contains(9));
  EXPECT_TRUE(range->contains(10));
  EXPECT_TRUE(range->contains(15));
  EXPECT_FALSE(range->contains(16));
  EXPECT_TRUE(ParseStepRange("1:1").ok());
}

TEST(StepRangeTest, WhatIsNone) {
  for (const char* text :
       {"", ":", "5", "5:", ":5", "a:b", "1:2:3", "1.5:2", "0:3", "-1:3", "3:2", "1:99999999999999999999"}) {
    const auto range = ParseStepRange(text);
    EXPECT_EQ(ExitCodeOf(range.status()), ExitCode::kConfig) << text;
    EXPECT_NE(range.status().message().find(text), std::string::npos) << range.status();
  }
}

}  // namespace
}  // namespace cubist
