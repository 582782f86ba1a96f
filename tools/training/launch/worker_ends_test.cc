#include "tools/training/launch/worker_ends.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace cubist {
namespace {

WorkerEnd Exit(int code) {
  WorkerEnd end;
  end.exit_code = code;
  return end;
}
WorkerEnd Signal(int number) {
  WorkerEnd end;
  end.signal = number;
  return end;
}
WorkerEnd Killed() {
  WorkerEnd end = Signal(SIGKILL);
  end.ended_by_front = true;
  return end;
}

TEST(WorkerEnds, CombinedExitCode) {
  const struct {
    std::vector<WorkerEnd> ends;
    bool stop_passed_on;
    int expected;
  } cases[] = {
      {{}, false, 0},
      {{Exit(0), Exit(0)}, false, 0},
      {{Exit(75), Exit(75)}, true, 75},
      {{Exit(0), Exit(75)}, true, 75},
      {{Exit(5), Exit(3), Exit(5)}, false, 3},  // the cause, not its consequences
      {{Exit(6), Exit(3)}, false, 6},           // of several causes the first
      {{Exit(75), Exit(5)}, true, 5},           // not everything was saved
      {{Exit(3), Exit(70)}, false, 70},
      {{Exit(3), Signal(SIGSEGV)}, false, 70},  // a crash is a bug
      {{Signal(SIGABRT)}, false, 70},
      {{Exit(1)}, false, 70},  // not one of ours
      {{Exit(126)}, false, 70},
      {{Exit(kCannotBeLoaded)}, false, 2},
      {{Signal(SIGKILL), Exit(5), Exit(5)}, false, 5},  // out of memory: start again
      {{Signal(SIGTERM)}, false, 5},
      {{Signal(SIGTERM), Exit(75)}, true, 75},
      {{Exit(4), Killed(), Killed()}, false, 4},
      {{Exit(5), Killed()}, false, 5},
  };
  int index = 0;
  for (const auto& test : cases) {
    EXPECT_EQ(CombinedExitCode(test.ends, test.stop_passed_on), test.expected) << "case " << index;
    ++index;
  }
}

TEST(WorkerEnds, Describe) {
  EXPECT_EQ(DescribeEnd(Exit(3)), "rank 0 ended with exit code 3 (bad data)");
  EXPECT_EQ(DescribeEnd(Exit(9)), "rank 0 ended with exit code 9 (not one of Cubist's)");
  EXPECT_EQ(DescribeEnd(Signal(SIGKILL)), "rank 0 was ended by signal 9 (Killed)");
}

}  // namespace
}  // namespace cubist
