#include "tools/slurm/slot_decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cubist {
namespace {

using slurm::SlotEvent;
using testing::HasSubstr;

SlotEnding After(std::optional<int> code, const std::string& state = "", bool warned = false, bool asked = false,
                 bool cancel = false) {
  SlotEvidence evidence;
  evidence.exit_code = code;
  evidence.state = state;
  evidence.warned = warned;
  evidence.asked_to_stop = asked;
  evidence.cancel_requested = cancel;
  return EndingOf(evidence);
}

TEST(EndingOf, ExitCodes) {
  EXPECT_EQ(After(0).ending, SlotEvent::DONE);
  EXPECT_EQ(After(75, "", true).ending, SlotEvent::TIME_LIMIT);
  EXPECT_EQ(After(75, "TIMEOUT", false, true).ending, SlotEvent::TIME_LIMIT);
  EXPECT_EQ(After(75).ending, SlotEvent::PREEMPTION);
  EXPECT_EQ(After(75, "NODE_FAIL", false, true).ending, SlotEvent::FAILURE);
  EXPECT_EQ(After(75, "", false, true).ending, SlotEvent::PREEMPTION);
  EXPECT_EQ(After(5).ending, SlotEvent::FAILURE);
  for (const int code : {1, 2, 3, 4, 6, 70, 127, 137}) {
    EXPECT_EQ(After(code).ending, SlotEvent::STOPPED) << code;
    // A crash is a crash, also at the time limit.
    EXPECT_EQ(After(code, "TIMEOUT", true, true).ending, SlotEvent::STOPPED) << code;
    EXPECT_THAT(After(code).reason, HasSubstr(std::to_string(code)));
  }
}

TEST(EndingOf, StatesOfSlotsThatWereKilled) {
  EXPECT_EQ(After({}, "TIMEOUT", true).ending, SlotEvent::TIME_LIMIT);
  EXPECT_EQ(After({}, "PREEMPTED", false, true).ending, SlotEvent::PREEMPTION);
  EXPECT_EQ(After({}, "NODE_FAIL").ending, SlotEvent::FAILURE);
  EXPECT_EQ(After({}, "BOOT_FAIL").ending, SlotEvent::FAILURE);
  for (const char* state : {"OUT_OF_MEMORY", "FAILED", "DEADLINE", "REVOKED", "COMPLETED"}) {
    EXPECT_EQ(After({}, state).ending, SlotEvent::STOPPED) << state;
    EXPECT_THAT(After({}, state).reason, HasSubstr(state));
  }
  EXPECT_EQ(After({}, "", false, true).ending, SlotEvent::PREEMPTION);
  EXPECT_EQ(After({}, "", true).ending, SlotEvent::TIME_LIMIT);
  SlotEvidence no_program;
  no_program.srun_code = 2;
  EXPECT_EQ(EndingOf(no_program).ending, SlotEvent::STOPPED);
  EXPECT_THAT(EndingOf(no_program).reason, HasSubstr("srun ended with exit code 2"));
  EXPECT_EQ(After({}).ending, SlotEvent::FAILURE);
}

TEST(EndingOf, Cancelled) {
  EXPECT_EQ(After(75, "CANCELLED", false, true).ending, SlotEvent::CANCELLED);
  EXPECT_EQ(After({}, "CANCELLED").ending, SlotEvent::CANCELLED);
  EXPECT_EQ(After(75, "", true, false, true).ending, SlotEvent::CANCELLED);
  // It was done when the signal came.
  EXPECT_EQ(After(0, "CANCELLED", false, true).ending, SlotEvent::DONE);
}

// A chain with a slot for each of these ends, from step `from` to step `to`.
struct End {
  SlotEvent::Ending ending;
  int from, to;
};

SlotChain ChainOf(const std::vector<End>& ends, int iterations = 100, int preemptions = 100, int failures = 10) {
  SlotChain chain;
  chain.launched.set_iterations(iterations);
  chain.launched.set_max_preemptions(preemptions);
  chain.launched.set_max_failures(failures);
  for (const End& end : ends) {
    Slot slot;
    slot.started.set_slot(static_cast<int>(chain.slots.size()) + 1);
    slot.started.set_step(end.from);
    slot.ended.emplace();
    slot.ended->set_ending(end.ending);
    slot.ended->set_step(end.to);
    slot.ended->set_reason("its reason");
    chain.slots.push_back(slot);
  }
  return chain;
}

constexpr auto kLimit = SlotEvent::TIME_LIMIT;
constexpr auto kPreempted = SlotEvent::PREEMPTION;
constexpr auto kFailed = SlotEvent::FAILURE;

TEST(Decide, GoesOnWhileThereIsProgress) {
  EXPECT_EQ(Decide(ChainOf({})).kind, Verdict::GO_ON);
  EXPECT_EQ(Decide(ChainOf({{kLimit, 0, 10}})).kind, Verdict::GO_ON);
  EXPECT_EQ(Decide(ChainOf({{kLimit, 0, 10}, {kPreempted, 10, 11}, {kFailed, 11, 12}})).kind, Verdict::GO_ON);
}

TEST(Decide, OneSlotWithoutProgressIsForgivenTwoAreNot) {
  EXPECT_EQ(Decide(ChainOf({{kFailed, 0, 0}})).kind, Verdict::GO_ON);
  EXPECT_EQ(Decide(ChainOf({{kFailed, 0, 0}, {kFailed, 0, 5}, {kLimit, 5, 5}})).kind, Verdict::GO_ON);
  const Verdict verdict = Decide(ChainOf({{kLimit, 0, 7}, {kLimit, 7, 7}, {kFailed, 7, 7}}));
  EXPECT_EQ(verdict.kind, Verdict::STOP);
  EXPECT_THAT(verdict.reason, HasSubstr("two slots in a row"));
  EXPECT_THAT(verdict.reason, HasSubstr("step 7"));
  // The newest checkpoint was damaged: that is no progress either.
  EXPECT_EQ(Decide(ChainOf({{kLimit, 7, 5}, {kLimit, 5, 5}})).kind, Verdict::STOP);
}

TEST(Decide, EndsThatAnotherSlotWouldMeetAgain) {
  EXPECT_EQ(Decide(ChainOf({{SlotEvent::DONE, 0, 10}})).kind, Verdict::DONE);
  for (const auto ending : {SlotEvent::STOPPED, SlotEvent::CANCELLED}) {
    const Verdict verdict = Decide(ChainOf({{kLimit, 0, 10}, {ending, 10, 20}}));
    EXPECT_EQ(verdict.kind, Verdict::STOP);
    EXPECT_EQ(verdict.reason, "slot 2: its reason");
  }
}

TEST(Decide, CapsAreCountedApart) {
  const std::vector<End> ends = {{kPreempted, 0, 1}, {kFailed, 1, 2}, {kPreempted, 2, 3}, {kLimit, 3, 4}};
  EXPECT_EQ(Decide(ChainOf(ends, 100, 2, 1)).kind, Verdict::GO_ON);
  EXPECT_THAT(Decide(ChainOf(ends, 100, 1, 1)).reason, HasSubstr("2 slots preempted, and max_preemptions is 1"));
  EXPECT_THAT(Decide(ChainOf(ends, 100, 2, 0)).reason,
              HasSubstr("1 slot lost a node or a rank, and max_failures is 0"));
}

TEST(Decide, IterationsAreUsedUp) {
  EXPECT_EQ(Decide(ChainOf({{kLimit, 0, 1}, {kLimit, 1, 2}}, 3)).kind, Verdict::GO_ON);
  const Verdict verdict = Decide(ChainOf({{kLimit, 0, 1}, {kLimit, 1, 2}}, 2));
  EXPECT_EQ(verdict.kind, Verdict::STOP);
  EXPECT_THAT(verdict.reason, HasSubstr("all 2 slots of -i are used; the run is at step 2"));
  EXPECT_EQ(Decide(ChainOf({{SlotEvent::DONE, 1, 2}}, 1)).kind, Verdict::DONE);
}

TEST(Decide, JobsThatNeverComeToWorkAreCounted) {
  SlotChain chain = ChainOf({});
  chain.unstarted = 2;
  EXPECT_EQ(Decide(chain).kind, Verdict::GO_ON);
  chain.unstarted = 3;
  EXPECT_THAT(Decide(chain).reason, HasSubstr("3 jobs in a row ended before they came to work"));
}

TEST(Decide, ACancelledChainStops) {
  SlotChain chain = ChainOf({});
  chain.cancel_requested = true;
  EXPECT_EQ(Decide(chain).kind, Verdict::STOP);
  chain = ChainOf({{kLimit, 0, 1}});
  chain.cancel_requested = true;
  EXPECT_EQ(Decide(chain).kind, Verdict::STOP);
  chain = ChainOf({{SlotEvent::DONE, 0, 1}});
  chain.cancel_requested = true;
  EXPECT_EQ(Decide(chain).kind, Verdict::DONE);
}

TEST(Decide, WithoutLimitsOfALaunch) {
  SlotChain chain = ChainOf({{kPreempted, 0, 1}});
  chain.launched.Clear();
  EXPECT_EQ(Decide(chain).kind, Verdict::GO_ON);
}

}  // namespace
}  // namespace cubist
