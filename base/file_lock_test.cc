#include "base/file_lock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "base/status.h"

namespace cubist {
namespace {

TEST(FileLockTest, IsWaitedFor) {
  const std::string path = ::testing::TempDir() + "/waited";
  auto first = std::make_unique<FileLock>();
  EXPECT_TRUE(*first->Wait(path, nullptr));
  std::promise<void> looked;
  bool told = false;
  auto second = std::async(std::launch::async, [&] {
    FileLock lock;
    return *lock.Wait(path, [&] {
      if (!told) looked.set_value();
      told = true;
      return absl::OkStatus();
    });
  });
  looked.get_future().wait();
  EXPECT_EQ(second.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  first.reset();
  EXPECT_TRUE(second.get());
  FileLock third;
  EXPECT_TRUE(*third.Wait(path, nullptr));
}

TEST(FileLockTest, TheWaitCanBeEnded) {
  const std::string path = ::testing::TempDir() + "/ended";
  FileLock first, second, third;
  EXPECT_TRUE(*first.Wait(path, nullptr));
  EXPECT_EQ(ExitCodeOf(second.Wait(path, [] { return PreemptedError("stop"); }).status()), ExitCode::kPreempted);
  EXPECT_EQ(ExitCodeOf(third.Wait("/nowhere/lock", nullptr).status()), ExitCode::kStorage);
}

}  // namespace
}  // namespace cubist
