#include "tools/training/logging/ledger.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name() + ".jsonl";
  }
  std::string Text() const { return *ReadWholeFile(path_); }
  std::unique_ptr<Ledger> Open() const { return *Ledger::Open(SystemFileOps(), path_); }

  std::string path_;
};

BadSampleEvent BadSample(int64_t draw) {
  BadSampleEvent event;
  event.split = "train";
  event.step = 12;
  event.draw = draw;
  event.start_frame = 30;
  event.place = {"clip \"a\"", "pose", "data/pose/a.tar", "a.000030.pose.front.npy", 1536, 1792};
  event.reason = "no array\nhere \xff";
  return event;
}

NotFiniteEvent NotFinite(int64_t step) {
  NotFiniteEvent event;
  event.step = step;
  event.first_draw = 4 * (step - 1);
  event.samples = 4;
  event.loss = std::nan("");
  event.gradient_norm = 0.1;
  event.action = "skipped";
  event.replay_from_step = 8;
  event.replay_from_draw = 32;
  return event;
}

TEST_F(LedgerTest, LinesAreJsonAsDocumented) {
  const auto bad = nlohmann::json::parse(FormatEvent(BadSample(45), 2.5));
  EXPECT_EQ(bad["kind"], "bad_sample");
  EXPECT_EQ(bad["time"], 2.5);
  EXPECT_EQ(bad["split"], "train");
  EXPECT_EQ(bad["step"], 12);
  EXPECT_EQ(bad["draw"], 45);
  EXPECT_EQ(bad["clip"], "clip \"a\"");
  EXPECT_EQ(bad["start_frame"], 30);
  EXPECT_EQ(bad["attribute"], "pose");
  EXPECT_EQ(bad["path"], "data/pose/a.tar");
  EXPECT_EQ(bad["member"], "a.000030.pose.front.npy");
  EXPECT_EQ(bad["begin"], 1536);
  EXPECT_EQ(bad["end"], 1792);
  EXPECT_EQ(bad["reason"], "no array\nhere \xEF\xBF\xBD");
  const auto step = nlohmann::json::parse(FormatEvent(NotFinite(12), 2.5));
  EXPECT_EQ(step["kind"], "step_not_finite");
  EXPECT_EQ(step["loss"], "nan");
  EXPECT_EQ(step["gradient_norm"], 0.1);
}

TEST_F(LedgerTest, AnEventIsWrittenOnceAlsoByLaterProcesses) {
  EXPECT_TRUE(Open()->Append({FormatEvent(BadSample(1), 1), FormatEvent(BadSample(2), 1)}).ok());
  const std::string once = Text();
  const auto ledger = Open();
  EXPECT_TRUE(ledger->Append({FormatEvent(BadSample(2), 9), FormatEvent(BadSample(1), 9)}).ok());
  EXPECT_EQ(Text(), once);
  EXPECT_TRUE(ledger->Append({FormatEvent(BadSample(3), 9)}).ok());
  EXPECT_TRUE(ledger->Append({FormatEvent(BadSample(3), 10)}).ok());
  EXPECT_EQ(Text(), once + FormatEvent(BadSample(3), 9));
}

TEST_F(LedgerTest, StepsAreReadBack) {
  EXPECT_TRUE(ReadNotFiniteEvents(path_)->empty()) << "no file: no event";
  EXPECT_TRUE(Open()->Append({FormatEvent(NotFinite(12), 1), FormatEvent(BadSample(1), 1)}).ok());
  std::ofstream(path_, std::ios::app) << "{\"kind\":\"step_not_fi";  // torn
  NotFiniteEvent second = NotFinite(14);
  second.loss = -std::numeric_limits<double>::infinity();
  EXPECT_TRUE(Open()->Append({FormatEvent(second, 1)}).ok());
  const auto events = ReadNotFiniteEvents(path_);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->size(), 2);
  EXPECT_EQ((*events)[0].step, 12);
  EXPECT_TRUE(std::isnan((*events)[0].loss));
  EXPECT_EQ((*events)[0].gradient_norm, 0.1);
  EXPECT_EQ((*events)[0].action, "skipped");
  EXPECT_EQ((*events)[1].step, 14);
  EXPECT_EQ((*events)[1].loss, second.loss);
  EXPECT_EQ((*events)[1].first_draw, 52);
  EXPECT_EQ((*events)[1].samples, 4);
  EXPECT_EQ((*events)[1].replay_from_step, 8);
  EXPECT_EQ((*events)[1].replay_from_draw, 32);
}

TEST_F(LedgerTest, AFolderInItsPlaceIsAStorageError) {
  const auto ledger = Ledger::Open(SystemFileOps(), testing::TempDir());
  EXPECT_EQ(ExitCodeOf(ledger.status()), ExitCode::kStorage);
}

}  // namespace
}  // namespace cubist
