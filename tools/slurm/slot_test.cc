// What a slot does before it asks SLURM for anything. The rest: slurm_launch_test.py.
#include "tools/slurm/slot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "base/file_ops.h"
#include "base/status.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_folder.h"

namespace cubist {
namespace {

using slurm::SlotEvent;
using testing::HasSubstr;

class SlotTest : public testing::Test {
 protected:
  SlotTest() : folder_(testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name()) {
    EXPECT_TRUE(MakeDirectories(SystemFileOps(), folder_.path()).ok());
    options_.checkpoint_wait = std::chrono::milliseconds(0);
    options_.lock_wait = std::chrono::milliseconds(0);
    options_.query_pause = std::chrono::milliseconds(0);
    setenv("PATH", "/no_programs", 1);  // SLURM answers nothing
    Append(SlotEvent::LAUNCHED);
  }

  void Append(SlotEvent::Kind kind, int step = -1, const std::string& job = "", const std::string& after = "") {
    SlotEvent event;
    event.set_event(kind);
    if (step >= 0) event.set_slot(1);
    if (step >= 0) event.set_step(step);
    if (kind == SlotEvent::ENDED) event.set_ending(SlotEvent::TIME_LIMIT);
    if (!job.empty()) event.set_job(job);
    if (!after.empty()) event.set_after(after);
    ASSERT_TRUE(AppendSlotEvent(SystemFileOps(), folder_.ledger_path(), event).ok());
  }

  // The chain's end after a slot in this job; empty if it has none.
  std::string ReasonAfterSlot() {
    code_ = RunSlot(folder_.run(), {"/bin/false"}, {{"SLURM_JOB_ID", "9"}}, options_);
    const auto events = ReadSlotEvents(folder_.ledger_path());
    EXPECT_TRUE(events.ok());
    const std::vector<SlotChain> chains = ChainsOf(*events);
    return chains.back().ended.has_value() ? chains.back().ended->reason() : "";
  }

  const SlurmFolder folder_;
  SlotOptions options_;
  absl::StatusOr<int> code_ = 0;
};

TEST_F(SlotTest, ARunDoesNotStartAnewWhenItsCheckpointsAreGone) {
  Append(SlotEvent::STARTED, 0, "8");
  Append(SlotEvent::ENDED, 304, "8");
  EXPECT_THAT(ReasonAfterSlot(), HasSubstr("left a checkpoint of step 304, and the newest in"));
  EXPECT_THAT(ReasonAfterSlot(), HasSubstr("is none: with --allow_fallback"));
}

TEST_F(SlotTest, NorDoesItAfterANewLaunch) {
  Append(SlotEvent::STARTED, 0, "8");
  Append(SlotEvent::ENDED, 304, "8");
  Append(SlotEvent::CHAIN_ENDED);
  Append(SlotEvent::LAUNCHED);
  EXPECT_THAT(ReasonAfterSlot(), HasSubstr("of step 304"));
}

TEST_F(SlotTest, JobsThatNeverComeToWorkEndTheChain) {
  for (const char* job : {"2", "3", "4"}) Append(SlotEvent::SUBMITTED, -1, job, std::to_string(std::stoi(job) - 1));
  EXPECT_THAT(ReasonAfterSlot(), HasSubstr("3 jobs in a row ended before they came to work"));
}

TEST_F(SlotTest, ASlurmThatDoesNotAnswerCancelsNothing) {
  Append(SlotEvent::STARTED, 0, "8");
  Append(SlotEvent::ENDED, 0, "8");
  Append(SlotEvent::REQUEUED, -1, "8");
  Append(SlotEvent::SUBMITTED, -1, "9", "8");
  // It comes to work, which fails for a reason of its own.
  EXPECT_THAT(ReasonAfterSlot(), HasSubstr("srun ended with exit code 1"));
}

TEST_F(SlotTest, OutsideOfAJob) {
  const auto code = RunSlot(folder_.run(), {"false"}, {}, options_);
  EXPECT_EQ(ExitCodeOf(code.status()), ExitCode::kConfig);
}

}  // namespace
}  // namespace cubist
