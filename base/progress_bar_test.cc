#include "base/progress_bar.h"

#include <gtest/gtest.h>

#include <string>

namespace cubist {
namespace {

class ProgressBarTest : public ::testing::Test {
 protected:
  ProgressBar::Sink sink() {
    return [this](const std::string& text) { written_ += text; };
  }
  ProgressBar::Clock clock() {
    return [this] { return seconds_; };
  }
  std::string written_;
  double seconds_ = 100;
};

TEST_F(ProgressBarTest, PlainLinesComeNowAndThenAndAtTheEnd) {
  ProgressBar bar("clips", 10, /*is_tty=*/false, sink(), clock());
  seconds_ = 101;
  bar.Update(1);
  EXPECT_EQ(written_, "");
  seconds_ = 106;
  bar.Update(3);
  EXPECT_EQ(written_, "clips: 3/10  0:06, 0:14 left\n");
  seconds_ = 110;
  bar.Update(5);
  seconds_ = 120;
  bar.Update(10);
  bar.Finish();
  bar.Finish();
  EXPECT_EQ(written_, "clips: 3/10  0:06, 0:14 left\nclips: 10/10  0:20\nclips: 10/10  0:20\n");
}

TEST_F(ProgressBarTest, ATerminalSeesABarThatIsRedrawn) {
  ProgressBar bar("steps", 4, /*is_tty=*/true, sink(), clock());
  bar.Update(0);
  EXPECT_EQ(written_, "\r\x1b[2Ksteps [........................] 0/4  0:00");
  written_.clear();
  seconds_ = 100.05;
  bar.Update(1);
  EXPECT_EQ(written_, "") << "redrawn too often";
  seconds_ = 102;
  bar.Update(2, "loss 0.5");
  EXPECT_EQ(written_, "\r\x1b[2Ksteps [############............] 2/4  0:02, 0:02 left  loss 0.5");
  written_.clear();
  bar.Update(1, "older");
  EXPECT_EQ(written_, "") << "went back";
  bar.Abandon();
  EXPECT_EQ(written_, "\r\x1b[2K");
  bar.Update(3);
  bar.Finish();
  EXPECT_EQ(written_, "\r\x1b[2K");
}

TEST_F(ProgressBarTest, WithoutATotalItCounts) {
  ProgressBar bar("points", 0, /*is_tty=*/false, sink(), clock());
  bar.Update(7);
  seconds_ = 103;
  bar.Finish();
  EXPECT_EQ(written_, "points: 7  0:03\n");
}

TEST(FormatDurationTest, MinutesAndHours) {
  EXPECT_EQ(FormatDuration(0), "0:00");
  EXPECT_EQ(FormatDuration(7.4), "0:07");
  EXPECT_EQ(FormatDuration(760), "12:40");
  EXPECT_EQ(FormatDuration(11100), "3:05:00");
  EXPECT_EQ(FormatDuration(-1), "0:00");
}

}  // namespace
}  // namespace cubist
