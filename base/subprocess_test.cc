#include "base/subprocess.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/status.h"

namespace cubist {
namespace {

using testing::HasSubstr;

TEST(RunSubprocess, TakesBothOutputsAndTheExitCode) {
  const auto result = RunSubprocess({"sh", "-c", "printf out; printf error >&2; exit 7"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "out");
  EXPECT_EQ(result->error, "error");
  EXPECT_EQ(result->exit_code, 7);
  EXPECT_FALSE(result->ok());
}

TEST(RunSubprocess, ArgumentsReachItAsTheyAre) {
  const std::string odd = "a b'\"$(touch marker)\n;*";
  const auto result = RunSubprocess({"printf", "%s", odd});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, odd);
}

TEST(RunSubprocess, FolderAndEnvironment) {
  SubprocessOptions options;
  options.folder = "/";
  options.environment = {"NAME=a value"};
  const auto result = RunSubprocess({"/bin/sh", "-c", "pwd; printf '%s' \"$NAME$HOME\""}, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "/\na value");
}

TEST(RunSubprocess, MuchOutputIsReadToItsEndAndKeptToTheLimit) {
  SubprocessOptions options;
  options.output_limit = 1000;
  const auto result = RunSubprocess({"sh", "-c", "head -c 3000000 /dev/zero; head -c 500 /dev/zero >&2"}, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(result->output.size(), 1000u);
  EXPECT_EQ(result->error.size(), 500u);
}

TEST(RunSubprocess, ASignalIsAnExitCodeAsInAShell) {
  const auto result = RunSubprocess({"sh", "-c", "kill -KILL $$"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
}

TEST(RunSubprocess, WhatIsNotThereIsNamed) {
  const auto result = RunSubprocess({"no_such_program_of_cubist"});
  EXPECT_EQ(ExitCodeOf(result.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no_such_program_of_cubist"));
}

TEST(RunSubprocess, ADeadlineEndsItAndItsChildren) {
  SubprocessOptions options;
  options.deadline = std::chrono::milliseconds(300);
  const auto result = RunSubprocess({"sh", "-c", "sleep 1000 & sleep 1000"}, options);
  EXPECT_EQ(ExitCodeOf(result.status()), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("0.3 s"));
}

TEST(RunSubprocess, BlockedSignalsAreNotBlockedInIt) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  const auto result = RunSubprocess({"sh", "-c", "kill -TERM $$; echo here"});
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 128 + SIGTERM);
}

TEST(StartSubprocess, WritesToTheDescriptorInAGroupOfItsOwn) {
  const std::string path = testing::TempDir() + "/output";
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const auto child =
      StartSubprocess({"sh", "-c", "echo out; echo error >&2; cut -d' ' -f5 /proc/self/stat"}, descriptor);
  ASSERT_TRUE(child.ok()) << child.status();
  int status = 0;
  ASSERT_EQ(waitpid(*child, &status, 0), *child);
  close(descriptor);
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, "out\nerror\n" + std::to_string(*child) + "\n");
}

}  // namespace
}  // namespace cubist
