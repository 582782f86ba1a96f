#include "base/command_line.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>

#include "base/status.h"

namespace cubist {
namespace {

TEST(ResolvePathTest, RelativePathsComeFromTheUsersFolder) {
  setenv("BUILD_WORKING_DIRECTORY", "/somewhere/project", 1);
  EXPECT_EQ(ResolvePath("data"), "/somewhere/project/data");
  EXPECT_EQ(ResolvePath("./data/"), "/somewhere/project/data");
  EXPECT_EQ(ResolvePath("../other/x.json"), "/somewhere/other/x.json");
  EXPECT_EQ(ResolvePath("/absolute/./path//"), "/absolute/path");
  EXPECT_EQ(ResolvePath("/"), "/");
  EXPECT_EQ(ResolvePath(""), "");
  unsetenv("BUILD_WORKING_DIRECTORY");
  EXPECT_EQ(ResolvePath("data"), (std::filesystem::current_path() / "data").string());
}

TEST(StopOnSignalsTest, TheFirstSignalSetsTheFlagAndTheSecondEndsTheProcess) {
  EXPECT_EXIT(
      {
        const std::atomic<bool>* stop = StopOnSignals();
        if (stop->load()) _Exit(1);
        raise(SIGTERM);
        if (!stop->load()) _Exit(2);
        raise(SIGTERM);
        _Exit(3);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

TEST(FinishProgramTest, OutputThatIsLostIsAnError) {
  EXPECT_EXIT(
      {
        if (std::freopen("/dev/full", "w", stdout) == nullptr) std::exit(1);
        std::printf("what nobody gets");
        std::exit(FinishProgram("program", absl::OkStatus()));
      },
      ::testing::ExitedWithCode(static_cast<int>(ExitCode::kStorage)), "program: standard output could not be written");
}

TEST(FinishProgramTest, NamesTheProgramAndGivesTheExitCode) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(FinishProgram("tool", absl::OkStatus()), 0);
  EXPECT_EQ(FinishProgram("tool", DataError("clip 7 is damaged")), 3);
  EXPECT_EQ(FinishProgram("tool", PreemptedError("stopped")), 75);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "tool: clip 7 is damaged\ntool: stopped\n");
}

}  // namespace
}  // namespace cubist
