// Workers are this program itself, told by its arguments what to do.
#include "tools/training/launch/launcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/status.h"
#include "tools/training/communicator/stop_signal.h"

namespace cubist {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// ---- the worker: PROGRAM --worker ACTION [FILE] -------------------------------------------------

int Worker(const std::vector<std::string>& arguments) {
  const std::string& action = arguments[0];
  const char* rank = std::getenv("CUBIST_RANK");
  if (action.rfind("exit ", 0) == 0) {
    // After the signals of other workers' ends have come in.
    if (action.find("late") != std::string::npos) usleep(300000);
    if (action.find("later") != std::string::npos) usleep(600000);
    return std::atoi(action.c_str() + 5);
  }
  if (action.rfind("die ", 0) == 0) raise(std::atoi(action.c_str() + 4));
  if (action == "say") {
    std::cout << "rank " << rank << " says " << arguments[1] << std::endl;
    std::cerr << "and this on stderr" << std::endl;
    return 0;
  }
  if (action == "many lines") {
    for (int i = 0; i < 100; ++i) std::cout << "line " << i << "." << std::endl;
    return 3;
  }
  if (action == "hang") {
    while (true) pause();
  }
  if (action == "accept") {
    // The inherited socket listens: connecting to it and accepting works.
    return accept4(std::atoi(arguments[1].c_str()), nullptr, nullptr, SOCK_NONBLOCK) < 0 && errno == EAGAIN ? 0 : 1;
  }
  // Waits for a stopping signal as train_worker does. Signals the launcher when told to, so that the first
  // signal may come before the handlers are there.
  if (action.rfind("stop", 0) == 0) {
    if (action == "stop early") kill(getppid(), SIGTERM);
    InstallStopSignalHandlers();
    if (action == "stop") kill(getppid(), SIGTERM);
    while (!StopRequested()) usleep(1000);
    std::ofstream(arguments[1], std::ios::app) << "stopped by " << StopSignal() << "\n";
    if (action == "stop stubborn") {
      // Never ends by itself; asks for the second signal once the first is long enough ago to count.
      usleep(1100000);
      kill(getppid(), SIGTERM);
      while (true) pause();
    }
    return 75;
  }
  if (action == "orphan") {
    // Is a launcher itself, killed while its worker lives.
    std::ofstream(arguments[1] + ".launcher") << getpid();
    WorkerCommand command;
    command.arguments = {"/proc/self/exe", "--worker", "tell and hang", arguments[1]};
    return RunWorkers({command}).value_or(70);
  }
  if (action == "tell and hang") {
    std::ofstream(arguments[1] + ".part") << getpid();
    std::filesystem::rename(arguments[1] + ".part", arguments[1]);
    while (true) pause();
  }
  return 99;
}

// ---- the tests ----------------------------------------------------------------------------------

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() : folder_(::testing::TempDir() + "/launcher") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  WorkerCommand Command(int rank, const std::string& action, const std::string& argument = "") {
    WorkerCommand command;
    command.rank = rank;
    command.arguments = {"/proc/self/exe", "--worker", action, argument};
    command.environment = {"CUBIST_RANK=" + std::to_string(rank)};
    if (rank > 0) command.output_path = LogOf(rank);
    return command;
  }
  std::string LogOf(int rank) const { return folder_ + "/rank-" + std::to_string(rank) + ".log"; }

  // Runs and returns the exit code; what went to stderr is in errors_.
  int Run(const std::vector<WorkerCommand>& workers, std::chrono::milliseconds grace = std::chrono::seconds(300),
          std::chrono::milliseconds grace_after_peer_lost = std::chrono::seconds(300)) {
    LaunchOptions options;
    options.grace_after_failure = grace;
    options.grace_after_peer_lost = grace_after_peer_lost;
    options.shown_lines = 10;
    ::testing::internal::CaptureStderr();
    const auto code = RunWorkers(workers, options);
    errors_ = ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(code.ok()) << code.status().message();
    return code.value_or(-1);
  }

  std::string folder_;
  std::string errors_;
};

TEST_F(LauncherTest, AllDone) {
  EXPECT_EQ(Run({Command(0, "exit 0"), Command(1, "exit 0"), Command(2, "exit 0")}), 0);
  EXPECT_EQ(errors_, "");
}

TEST_F(LauncherTest, OutputOfOtherRanksGoesToTheirLogs) {
  std::ofstream(LogOf(1)) << "from an earlier start\n";
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(Run({Command(0, "say", "a"), Command(1, "say", "b")}), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "rank 0 says a\n");
  EXPECT_EQ(errors_, "and this on stderr\n");
  EXPECT_EQ(Contents(LogOf(1)), "from an earlier start\nrank 1 says b\nand this on stderr\n");
}

TEST_F(LauncherTest, AFailingRankIsShown) {
  std::ofstream(LogOf(1)) << "from an earlier start\n";
  EXPECT_EQ(Run({Command(0, "exit 5"), Command(1, "many lines"), Command(2, "exit 5")}), 3);
  EXPECT_NE(errors_.find("rank 1 ended with exit code 3 (bad data)"), std::string::npos) << errors_;
  EXPECT_NE(errors_.find("line 90."), std::string::npos) << errors_;
  EXPECT_NE(errors_.find("line 99."), std::string::npos) << errors_;
  EXPECT_EQ(errors_.find("line 89."), std::string::npos) << errors_;
  EXPECT_EQ(errors_.find(LogOf(2)), std::string::npos) << errors_;
  // Started again, only what this start wrote counts: nothing.
  EXPECT_EQ(Run({Command(0, "exit 5"), Command(1, "exit 3")}), 3);
  EXPECT_EQ(errors_.find("line 99."), std::string::npos) << errors_;
}

TEST_F(LauncherTest, AWorkerThatCrashes) {
  EXPECT_EQ(Run({Command(0, "die 6")}), 70);
  EXPECT_NE(errors_.find("rank 0 was ended by signal 6"), std::string::npos) << errors_;
  EXPECT_EQ(Run({Command(0, "exit 5"), Command(1, "die 9")}), 5);
}

TEST_F(LauncherTest, OthersAreKilledAfterTheGracePeriod) {
  EXPECT_EQ(Run({Command(0, "hang"), Command(1, "exit 4")}, std::chrono::milliseconds(50)), 4);
  EXPECT_NE(errors_.find("rank 0 did not end in the 0.05 s"), std::string::npos) << errors_;
  EXPECT_NE(errors_.find("rank 1 ended with exit code 4 (not finite)"), std::string::npos) << errors_;
}

TEST_F(LauncherTest, LostRanksAreKilledAfterAShortGracePeriod) {
  const std::chrono::seconds in_vain(300);  // longer than the test may take
  const std::chrono::milliseconds shortly(50);
  EXPECT_EQ(Run({Command(0, "exit 5"), Command(1, "hang"), Command(2, "hang")}, in_vain, shortly), 5);
  EXPECT_NE(errors_.find("rank 1, 2 did not end in the 0.05 s"), std::string::npos) << errors_;
  EXPECT_NE(errors_.find("rank 0 ended with exit code 5 (a peer was lost)"), std::string::npos) << errors_;
  // Also when the first one was killed from outside.
  EXPECT_EQ(Run({Command(0, "die 9"), Command(1, "hang"), Command(2, "exit 5")}, in_vain, shortly), 5);
  EXPECT_NE(errors_.find("rank 0 was ended by signal 9"), std::string::npos) << errors_;
  // With a cause, those that remain are not the lost ones: they end by themselves.
  EXPECT_EQ(Run({Command(0, "exit 5 late"), Command(1, "exit 3"), Command(2, "exit 0 later")}, in_vain, shortly), 3);
  EXPECT_EQ(errors_.find("did not end"), std::string::npos) << errors_;
}

TEST_F(LauncherTest, ASignalIsPassedOnOnce) {
  const std::string marks = folder_ + "/marks";
  EXPECT_EQ(Run({Command(0, "stop", marks), Command(1, "stop wait", marks)}), 75);
  EXPECT_EQ(Contents(marks), "stopped by 15\nstopped by 15\n");
}

TEST_F(LauncherTest, ASignalBeforeTheHandlersAreThereIsNotLost) {
  const std::string marks = folder_ + "/marks";
  EXPECT_EQ(Run({Command(0, "stop early", marks), Command(1, "stop wait", marks)}), 75);
  EXPECT_EQ(Contents(marks), "stopped by 15\nstopped by 15\n");
}

TEST_F(LauncherTest, ASecondSignalKills) {
  const std::string marks = folder_ + "/marks";
  // The worker's own handlers see only what the launcher passes on: one signal.
  WorkerCommand first = Command(0, "stop stubborn", marks);
  EXPECT_EQ(Run({first, Command(1, "stop", marks)}), 128 + SIGTERM);
}

TEST_F(LauncherTest, WorkersDoNotOutliveTheirLauncher) {
  const std::string file = folder_ + "/pid";
  const pid_t launcher = fork();
  if (launcher == 0) {
    execl("/proc/self/exe", "/proc/self/exe", "--worker", "orphan", file.c_str(), nullptr);
    _exit(127);
  }
  while (!std::filesystem::exists(file)) usleep(1000);
  const pid_t worker = std::atoi(Contents(file).c_str());
  ASSERT_GT(worker, 1);
  ASSERT_EQ(kill(worker, 0), 0);
  kill(launcher, SIGKILL);
  ASSERT_EQ(waitpid(launcher, nullptr, 0), launcher);
  // Gone, or a zombie that nobody has collected yet: not running in any case. The test's time limit ends this.
  const std::string status_file = "/proc/" + std::to_string(worker) + "/stat";
  while (true) {
    const std::string status = Contents(status_file);
    if (status.empty() || status.find(") Z ") != std::string::npos) break;
    usleep(1000);
  }
}

TEST_F(LauncherTest, AnInheritedSocketListens) {
  const auto listening = ListenOnLoopback();
  ASSERT_TRUE(listening.ok());
  EXPECT_GT(listening->port, 0);
  WorkerCommand heir = Command(0, "accept", std::to_string(listening->descriptor));
  fcntl(listening->descriptor, F_SETFL, O_NONBLOCK);
  WorkerCommand stranger = heir;
  heir.inherited_descriptors = {listening->descriptor};
  EXPECT_EQ(Run({heir}), 0);
  EXPECT_EQ(Run({stranger}), 70);  // exit code 1 is none of ours: the socket was not there
  close(listening->descriptor);
}

TEST_F(LauncherTest, Errors) {
  WorkerCommand absent = Command(0, "exit 0");
  absent.arguments[0] = folder_ + "/no such program";
  const auto code = RunWorkers({absent});
  EXPECT_EQ(ExitCodeOf(code.status()), ExitCode::kConfig);
  EXPECT_NE(std::string(code.status().message()).find("no such program"), std::string::npos);

  // The first worker would hang: it is not left running when the second cannot start.
  absent.rank = 1;
  EXPECT_EQ(ExitCodeOf(RunWorkers({Command(0, "hang"), absent}).status()), ExitCode::kConfig);
  WorkerCommand unwritable = Command(1, "exit 0");
  unwritable.output_path = folder_ + "/no folder/log";
  EXPECT_EQ(ExitCodeOf(RunWorkers({Command(0, "hang"), unwritable}).status()), ExitCode::kStorage);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc >= 3 && std::string(argv[1]) == "--worker") {
    return cubist::Worker(std::vector<std::string>(argv + 2, argv + argc));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
