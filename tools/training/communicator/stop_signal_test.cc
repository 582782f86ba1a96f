#include "tools/training/communicator/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace cubist {
namespace {

// The handlers are of a whole process: each case runs in a child. Exit code of `body`, or 128 + signal.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(StopSignal, EachKindSetsTheFlag) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    EXPECT_EQ(InChild([number]() {
                signal(SIGHUP, SIG_DFL);
                InstallStopSignalHandlers();
                if (StopRequested()) return 1;
                raise(number);
                return StopRequested() && StopSignal() == number ? 0 : 2;
              }),
              0)
        << number;
  }
}

TEST(StopSignal, AnIgnoredHangUpStaysIgnored) {
  EXPECT_EQ(InChild([]() {
              signal(SIGHUP, SIG_IGN);
              InstallStopSignalHandlers();
              raise(SIGHUP);
              return StopRequested() ? 1 : 0;
            }),
            0);
}

TEST(StopSignal, TheSameRequestTwiceIsOne) {
  EXPECT_EQ(InChild([]() {
              InstallStopSignalHandlers();
              raise(SIGTERM);
              raise(SIGTERM);
              raise(SIGINT);
              return StopSignal() == SIGTERM ? 0 : 1;
            }),
            0);
}

TEST(StopSignal, AFurtherOneEndsTheProcess) {
  EXPECT_EQ(InChild([]() {
              InstallStopSignalHandlers();
              raise(SIGUSR1);
              usleep(1100000);
              raise(SIGUSR1);  // a repeated warning changes nothing
              if (StopSignal() != SIGUSR1) return 1;
              raise(SIGTERM);  // nor does the first request of its kind
              usleep(1100000);
              raise(SIGTERM);
              return 2;
            }),
            128 + SIGTERM);
}

TEST(StopSignal, SlurmAsksSeveralTimes) {
  EXPECT_EQ(InChild([]() {
              setenv("SLURM_JOB_ID", "7", 1);
              InstallStopSignalHandlers();
              raise(SIGTERM);
              usleep(1100000);
              raise(SIGTERM);
              if (StopSignal() != SIGTERM) return 1;
              raise(SIGINT);
              return 2;
            }),
            128 + SIGINT);
}

TEST(StopSignal, ABlockedOneComesThroughWithTheHandlers) {
  EXPECT_EQ(InChild([]() {
              sigset_t blocked;
              sigemptyset(&blocked);
              sigaddset(&blocked, SIGTERM);
              sigprocmask(SIG_BLOCK, &blocked, nullptr);
              raise(SIGTERM);
              InstallStopSignalHandlers();
              return StopSignal() == SIGTERM ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace cubist
