#include "tools/training/loop/step_profiler.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace cubist {
namespace {

struct Event {
  double begin, end;
  bool in(const Event& other) const { return other.begin <= begin && end <= other.end; }
};

class StepProfilerTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }

  StepProfiler Profiler(int64_t first, int64_t last) {
    return StepProfiler(SystemFileOps(), {first, last}, folder_, /*rank=*/3, "cpu");
  }

  // Steps that multiply forward as often as the step's number, and once backward.
  void Train(StepProfiler& profiler, int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; ++step) {
      EXPECT_TRUE(profiler.BeginStep(step).ok());
      Step(step);
      EXPECT_TRUE(profiler.EndStep(step).ok());
    }
  }
  static void Step(int64_t step) {
    const at::Tensor a = at::ones({8, 8}).set_requires_grad(true);
    at::Tensor b;
    {
      RECORD_USER_SCOPE("forward");
      for (int64_t i = 0; i < step; ++i) b = at::mm(a, a);
    }
    RECORD_USER_SCOPE("backward");
    b.sum().backward();
  }

  // The trace's complete events, by name.
  std::map<std::string, std::vector<Event>> Read(const std::string& path) {
    std::map<std::string, std::vector<Event>> events;
    std::ifstream file(path);
    const nlohmann::json trace = nlohmann::json::parse(file);
    for (const nlohmann::json& event : trace.at("traceEvents")) {
      if (event.at("ph") != "X") continue;
      const double begin = event.at("ts").get<double>();
      events[event.at("name")].push_back({begin, begin + event.at("dur").get<double>()});
    }
    return events;
  }

  const std::string folder_ = ::testing::TempDir() + "/profile-" + std::to_string(::getpid());
};

int Within(const std::vector<Event>& inner, const Event& outer) {
  int count = 0;
  for (const Event& event : inner) count += event.in(outer) ? 1 : 0;
  return count;
}

TEST_F(StepProfilerTest, RecordsExactlyTheseSteps) {
  StepProfiler profiler = Profiler(3, 4);
  Train(profiler, 1, 6);
  EXPECT_TRUE(profiler.done());
  EXPECT_TRUE(profiler.Finish().ok());
  EXPECT_EQ(profiler.path(), folder_ + "/steps-3-4.rank-3.trace.json");
  auto events = Read(profiler.path());
  for (const int64_t step : {1, 2, 5, 6}) EXPECT_EQ(events.count("ProfilerStep#" + std::to_string(step)), 0u) << step;
  EXPECT_EQ(events["forward"].size(), 2u);
  EXPECT_EQ(events["backward"].size(), 2u);
  // 3 and 4 products forward, and two of each backward.
  EXPECT_EQ(events["aten::mm"].size(), 3u + 4u + 2 * 2u);
  for (const int64_t step : {3, 4}) {
    ASSERT_EQ(events["ProfilerStep#" + std::to_string(step)].size(), 1u);
    const Event whole = events["ProfilerStep#" + std::to_string(step)][0];
    EXPECT_EQ(Within(events["aten::mm"], whole), step + 2);
    ASSERT_EQ(Within(events["forward"], whole), 1);
    const Event& forward = events["forward"][step - 3];
    EXPECT_EQ(Within(events["aten::mm"], forward), step);
    EXPECT_EQ(Within(events["aten::mm"], events["backward"][step - 3]), 2);
  }
  // Nothing but the trace.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()), 1);
}

TEST_F(StepProfilerTest, ARunThatEndsWithinTheRange) {
  StepProfiler profiler = Profiler(2, 9);
  Train(profiler, 1, 3);
  EXPECT_FALSE(profiler.done());
  EXPECT_TRUE(profiler.Finish().ok());
  EXPECT_TRUE(profiler.done());
  auto events = Read(profiler.path());
  EXPECT_EQ(events.count("ProfilerStep#2") + events.count("ProfilerStep#3"), 2u);
  EXPECT_EQ(events["forward"].size(), 2u);
}

TEST_F(StepProfilerTest, ARunThatResumesWithinTheRange) {
  StepProfiler profiler = Profiler(2, 4);
  Train(profiler, 4, 5);
  auto events = Read(profiler.path());
  EXPECT_EQ(events["forward"].size(), 1u);
}

TEST_F(StepProfilerTest, ARunThatHasNoStepOfTheRange) {
  StepProfiler profiler = Profiler(2, 4);
  Train(profiler, 5, 6);
  const absl::Status status = profiler.Finish();
  EXPECT_NE(status.message().find("--profile_steps 2:4: nothing was profiled"), std::string::npos) << status;
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(StepProfilerTest, AStepThatIsGivenUp) {
  StepProfiler profiler = Profiler(1, 2);
  EXPECT_TRUE(profiler.BeginStep(1).ok());
  Train(profiler, 1, 2);
  auto events = Read(profiler.path());
  EXPECT_EQ(events["ProfilerStep#1"].size(), 2u);
  EXPECT_EQ(events["forward"].size(), 2u);
}

TEST_F(StepProfilerTest, AnotherRecordingCanFollow) {
  {
    StepProfiler given_up = Profiler(1, 9);
    Train(given_up, 1, 2);
  }
  StepProfiler profiler = Profiler(3, 3);
  Train(profiler, 3, 3);
  EXPECT_EQ(Read(profiler.path())["forward"].size(), 1u);
}

TEST_F(StepProfilerTest, AProfileThatFailsSaysSoOnce) {
  std::ofstream(folder_) << "a file";
  StepProfiler profiler = Profiler(1, 2);
  const absl::Status status = profiler.BeginStep(1);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(status.message().find("--profile_steps 1:2"), std::string::npos) << status;
  EXPECT_TRUE(profiler.EndStep(1).ok());
  Train(profiler, 2, 3);
  EXPECT_TRUE(profiler.Finish().ok());
  EXPECT_FALSE(profiler.done());
}

TEST_F(StepProfilerTest, AFileThatCannotBeWritten) {
  StepProfiler profiler = Profiler(1, 1);
  ASSERT_TRUE(profiler.BeginStep(1).ok());
  std::filesystem::remove_all(folder_);
  const absl::Status status = profiler.EndStep(1);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(status.message().find("trace.json"), std::string::npos) << status;
}

}  // namespace
}  // namespace cubist
