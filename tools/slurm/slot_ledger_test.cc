#include "tools/slurm/slot_ledger.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace cubist {
namespace {

using slurm::SlotEvent;

class SlotLedgerTest : public testing::Test {
 protected:
  SlotLedgerTest() : path_(testing::TempDir() + "/slots.jsonl") { std::remove(path_.c_str()); }

  void Append(SlotEvent::Kind kind, int slot = 0, const std::string& signal = "") {
    SlotEvent event;
    event.set_event(kind);
    if (slot > 0) event.set_slot(slot);
    if (!signal.empty()) event.set_signal(signal);
    ASSERT_TRUE(AppendSlotEvent(SystemFileOps(), path_, event).ok());
  }

  std::vector<SlotEvent> Events() {
    const auto events = ReadSlotEvents(path_);
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? *events : std::vector<SlotEvent>();
  }

  const std::string path_;
};

TEST_F(SlotLedgerTest, LinesAreJsonThatReadsBack) {
  SlotEvent event;
  event.set_event(SlotEvent::ENDED);
  event.set_time(1700000000.25);
  event.set_job("12_3");
  event.set_step(6250);
  event.set_ending(SlotEvent::TIME_LIMIT);
  event.set_reason("a \"reason\"\nof two lines, \xc3\xa9");
  const std::string line = FormatSlotEvent(event);
  EXPECT_EQ(line,
            "{\"event\":\"ENDED\",\"time\":1700000000.25,\"job\":\"12_3\",\"step\":6250,\"ending\":\"TIME_LIMIT\","
            "\"reason\":\"a \\\"reason\\\"\\nof two lines, \xc3\xa9\"}\n");
  std::ofstream(path_) << line;
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0].SerializeAsString(), event.SerializeAsString());
}

TEST_F(SlotLedgerTest, NoFileIsNoEvents) { EXPECT_TRUE(Events().empty()); }

TEST_F(SlotLedgerTest, TornAndForeignLinesArePassedOver) {
  Append(SlotEvent::LAUNCHED);
  std::ofstream(path_, std::ios::app) << "{\"event\":\"STARTED\",\"slo";
  Append(SlotEvent::STARTED, 1);
  std::ofstream(path_, std::ios::app)
      << "{\"event\":\"OF_LATER\"}\n[]\n\n{\"event\":\"ENDED\",\"slot\":1,\"later\":{}}\n";
  const std::vector<SlotEvent> events = Events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].event(), SlotEvent::STARTED);
  EXPECT_EQ(events[1].slot(), 1);
  EXPECT_EQ(events[2].event(), SlotEvent::ENDED);
}

TEST_F(SlotLedgerTest, EventsGetTheTimeOfNow) {
  Append(SlotEvent::LAUNCHED);
  EXPECT_GT(Events()[0].time(), 1.7e9);
}

TEST_F(SlotLedgerTest, ChainsAndTheirSlots) {
  Append(SlotEvent::LAUNCHED);
  Append(SlotEvent::SUBMITTED);
  Append(SlotEvent::STARTED, 1);
  Append(SlotEvent::SIGNALLED, 1, "USR1");
  Append(SlotEvent::SIGNALLED, 1, "TERM");
  Append(SlotEvent::ENDED, 1);
  Append(SlotEvent::STARTED, 2);
  Append(SlotEvent::CHAIN_ENDED);
  Append(SlotEvent::LAUNCHED);
  Append(SlotEvent::CANCEL_REQUESTED);
  const std::vector<SlotChain> chains = ChainsOf(Events());
  ASSERT_EQ(chains.size(), 2u);
  ASSERT_EQ(chains[0].slots.size(), 2u);
  EXPECT_EQ(chains[0].slots[0].signals, (std::vector<std::string>{"USR1", "TERM"}));
  EXPECT_TRUE(chains[0].slots[0].ended.has_value());
  EXPECT_FALSE(chains[0].slots[1].ended.has_value());
  EXPECT_EQ(chains[0].submissions.size(), 1u);
  EXPECT_TRUE(chains[0].ended.has_value());
  EXPECT_TRUE(chains[1].slots.empty());
  EXPECT_TRUE(chains[1].cancel_requested);
  EXPECT_FALSE(chains[1].ended.has_value());
}

TEST_F(SlotLedgerTest, AScriptThatWasSubmittedByHandHasAChain) {
  Append(SlotEvent::STARTED, 1);
  const std::vector<SlotChain> chains = ChainsOf(Events());
  ASSERT_EQ(chains.size(), 1u);
  EXPECT_EQ(chains[0].slots.size(), 1u);
  EXPECT_FALSE(chains[0].launched.has_iterations());
}

}  // namespace
}  // namespace cubist
