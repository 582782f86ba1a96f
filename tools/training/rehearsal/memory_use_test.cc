#include "tools/training/rehearsal/memory_use.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <vector>

#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

class MemoryUseTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(MakeDirectories(SystemFileOps(), root_ + path.substr(0, path.rfind('/'))).ok());
    std::ofstream(root_ + path) << text;
  }
  void SetUp() override {
    Write("/proc/self/status", "Name:\ttrain_worker\nVmPeak:\t  999 kB\nVmHWM:\t    1000 kB\nVmRSS:\t  10 kB\n");
    Write("/proc/meminfo", "MemTotal:       64000 kB\nMemFree:        1 kB\nMemAvailable:   32000 kB\n");
  }
  void TearDown() override { RemoveTree(SystemFileOps(), root_).IgnoreError(); }

  const std::string root_ = ::testing::TempDir() + "/memory-" + std::to_string(::getpid());
};

TEST_F(MemoryUseTest, OfTheMachine) {
  const auto use = ReadMemoryUse(root_);
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->peak_resident, 1000u * 1024);
  EXPECT_EQ(use->total, 64000u * 1024);
  EXPECT_EQ(use->available, 32000u * 1024);
}

TEST_F(MemoryUseTest, OfAControlGroupOrOneAroundIt) {
  Write("/proc/self/cgroup", "0::/job/step\n");
  Write("/sys/fs/cgroup/job/step/memory.max", "max\n");
  Write("/sys/fs/cgroup/job/memory.max", "20000000\n");
  Write("/sys/fs/cgroup/job/memory.current", "5000000\n");
  auto use = ReadMemoryUse(root_);
  EXPECT_EQ(use->total, 20000000u);
  EXPECT_EQ(use->available, 15000000u);
  Write("/sys/fs/cgroup/job/step/memory.max", "1000\n");
  Write("/sys/fs/cgroup/job/step/memory.current", "2000\n");
  use = ReadMemoryUse(root_);
  EXPECT_EQ(use->total, 1000u);
  EXPECT_EQ(use->available, 0u);
}

TEST_F(MemoryUseTest, OfVersionOne) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/job\n0::/\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "30000000\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const auto use = ReadMemoryUse(root_);
  EXPECT_EQ(use->total, 30000000u);
  EXPECT_EQ(use->available, 30000000u);
}

TEST_F(MemoryUseTest, SaysWhatIsMissing) {
  Write("/proc/meminfo", "MemTotal:       64000 kB\n");
  const absl::Status status = ReadMemoryUse(root_).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
  EXPECT_NE(status.message().find("MemAvailable"), std::string::npos) << status;
}

// The kernel says the peak in a second way.
TEST(MemoryUseOfThisProcessTest, IsThatOfGetrusage) {
  std::vector<char> pages(64 << 20);
  std::memset(pages.data(), 1, pages.size());
  const auto use = ReadMemoryUse();
  ASSERT_TRUE(use.ok()) << use.status();
  struct rusage usage;
  ASSERT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_GE(use->peak_resident, pages.size());
  EXPECT_NEAR(static_cast<double>(use->peak_resident), static_cast<double>(usage.ru_maxrss) * 1024, 16e6);
  EXPECT_LE(use->available, use->total);
}

}  // namespace
}  // namespace cubist
