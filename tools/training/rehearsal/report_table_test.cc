#include "tools/training/rehearsal/report_table.h"

#include <gtest/gtest.h>

namespace cubist {
namespace {

TEST(ReportTableTest, Rows) {
  EXPECT_EQ(FormatRow(Verdict::kNone, "memory", "2 GB"), "  memory      2 GB\n");
  EXPECT_EQ(FormatRow(Verdict::kOk, "memory", "2 GB"), "  ok       memory      2 GB\n");
  EXPECT_EQ(FormatRow(Verdict::kWarning, "memory", "2 GB"), "  WARNING  memory      2 GB\n");
  EXPECT_EQ(FormatRow(Verdict::kFailed, "a name of no end", "a\nb"),
            "  FAILED   a name of no end a\n                            b\n");
}

TEST(ReportTableTest, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(9994), "9.99 kB");
  EXPECT_EQ(FormatBytes(9996), "10.0 kB");
  EXPECT_EQ(FormatBytes(123456), "123 kB");
  EXPECT_EQ(FormatBytes(999499), "999 kB");
  EXPECT_EQ(FormatBytes(999500), "1.00 MB");
  EXPECT_EQ(FormatBytes(22345678901), "22.3 GB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "18447 PB");
}

TEST(ReportTableTest, Seconds) {
  EXPECT_EQ(FormatSeconds(0.0123), "0.012 s");
  EXPECT_EQ(FormatSeconds(119), "119 s");
  EXPECT_EQ(FormatSeconds(150), "2.5 min");
  EXPECT_EQ(FormatSeconds(9000), "2.5 h");
}

}  // namespace
}  // namespace cubist
