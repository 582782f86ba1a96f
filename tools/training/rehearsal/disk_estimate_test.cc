#include "tools/training/rehearsal/disk_estimate.h"

#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

Checkpoints Config(int64_t interval_steps, int keep_last, int64_t keep_every) {
  Checkpoints checkpoints;
  checkpoints.set_interval_steps(interval_steps);
  checkpoints.set_interval_minutes(0);
  checkpoints.set_keep_last(keep_last);
  checkpoints.set_keep_every(keep_every);
  return checkpoints;
}

// What lies there at once when every step that is due is saved, and then what retention drops is removed.
int64_t Simulated(const Checkpoints& config, int64_t max_steps) {
  std::set<int64_t> there;
  size_t most = 0;
  for (int64_t step = 1; step <= max_steps; ++step) {
    if (step % config.interval_steps() != 0 && step != max_steps) continue;
    there.insert(step);
    most = std::max(most, there.size());
    std::set<int64_t> kept(std::prev(there.end(), std::min<int64_t>(config.keep_last(), there.size())), there.end());
    for (const int64_t old : there) {
      if (config.keep_every() > 0 && old % config.keep_every() == 0) kept.insert(old);
    }
    there = kept;
  }
  return static_cast<int64_t>(most);
}

TEST(CheckpointsAtOnceTest, IsEnoughForEverySave) {
  for (const int64_t interval : {1, 2, 3, 4, 6}) {
    for (const int keep_last : {1, 2, 5}) {
      for (const int64_t keep_every : {0, 1, 2, 3, 5, 12}) {
        for (const int64_t max_steps : {1, 7, 24, 60}) {
          const Checkpoints config = Config(interval, keep_last, keep_every);
          const int64_t most = Simulated(config, max_steps), estimated = CheckpointsAtOnce(config, max_steps);
          EXPECT_GE(estimated, most) << interval << " " << keep_last << " " << keep_every << " " << max_steps;
          // Too many by those that are among the newest as well, at most.
          if (max_steps >= interval * (keep_last + 1)) {
            EXPECT_LE(estimated, most + keep_last + 1);
          }
        }
      }
    }
  }
  // Without milestones it is exact: those kept, and the one being written.
  EXPECT_EQ(CheckpointsAtOnce(Config(4, 2, 0), 60), Simulated(Config(4, 2, 0), 60));
  EXPECT_EQ(CheckpointsAtOnce(Config(4, 2, 0), 60), 3);
}

TEST(CheckpointsAtOnceTest, MilestonesAreWhatIsSaved) {
  EXPECT_EQ(StepsBetweenMilestones(Config(4, 2, 0)), 0);
  EXPECT_EQ(StepsBetweenMilestones(Config(4, 2, 6)), 12);
  EXPECT_EQ(StepsBetweenMilestones(Config(0, 2, 6)), 0);
  Checkpoints by_time = Config(4, 2, 6);
  by_time.set_interval_minutes(5);
  EXPECT_EQ(StepsBetweenMilestones(by_time), 6);
  EXPECT_EQ(CheckpointsAtOnce(Config(4, 2, 6), 60), 2 + 1 + 5);
  EXPECT_EQ(CheckpointsAtOnce(Config(4, 2, 6), std::nullopt), 3);
}

class DiskEstimateTest : public ::testing::Test {
 protected:
  const std::string folder_ = ::testing::TempDir() + "/disk-" + std::to_string(::getpid());
  void SetUp() override { ASSERT_TRUE(MakeDirectories(SystemFileOps(), folder_).ok()); }
  void TearDown() override { RemoveTree(SystemFileOps(), folder_).IgnoreError(); }
};

TEST_F(DiskEstimateTest, LooksAtTheNearestFolder) {
  EXPECT_EQ(*NearestFolder(folder_ + "/runs/a/b"), folder_);
  EXPECT_EQ(*NearestFolder(folder_), folder_);
  EXPECT_EQ(*NearestFolder("no such folder/run"), ".");
  const auto root = NearestFolder("/no such folder/run");  // which few may write to
  EXPECT_EQ(root.ok() ? *root : std::string(root.status().message()).substr(0, 2), root.ok() ? "/" : "/:");
  std::ofstream(folder_ + "/file") << "x";
  const auto below_a_file = NearestFolder(folder_ + "/file/run");
  EXPECT_EQ(ExitCodeOf(below_a_file.status()), ExitCode::kStorage);
  EXPECT_NE(below_a_file.status().message().find(folder_ + "/file: is no folder"), std::string::npos)
      << below_a_file.status();
  // A link to nowhere is in the way too.
  ASSERT_EQ(::symlink("nowhere", (folder_ + "/link").c_str()), 0);
  EXPECT_EQ(ExitCodeOf(NearestFolder(folder_ + "/link/run").status()), ExitCode::kStorage);
}

TEST_F(DiskEstimateTest, CountsWhatIsStillToCome) {
  struct statvfs info;
  ASSERT_EQ(::statvfs(folder_.c_str(), &info), 0);
  const uint64_t all = static_cast<uint64_t>(info.f_blocks) * info.f_frsize;
  const Checkpoints config = Config(4, 2, 0);
  auto estimate = EstimateDisk(config, 60, 1000, 0, folder_ + "/run");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_EQ(estimate->needed_bytes(), 3000u);
  EXPECT_TRUE(estimate->fits());
  EXPECT_LE(estimate->free_bytes, all);
  EXPECT_GT(estimate->free_bytes, 0u);
  EXPECT_NE(Describe(*estimate).find("1.00 kB each, at most 3 at once: 3.00 kB;"), std::string::npos)
      << Describe(*estimate);
  EXPECT_NE(Describe(*estimate).find("free in " + folder_), std::string::npos) << Describe(*estimate);

  estimate = EstimateDisk(config, 60, 1000, 2, folder_);
  EXPECT_EQ(estimate->needed_bytes(), 1000u);
  estimate = EstimateDisk(config, 60, 1000, 7, folder_);  // kept under another config
  EXPECT_EQ(estimate->needed_bytes(), 0u);

  estimate = EstimateDisk(config, 60, all, 0, folder_);
  EXPECT_FALSE(estimate->fits());
  EXPECT_NE(WayOutOfFullDisk(*estimate, config).find("checkpoints.keep_last is 2"), std::string::npos);

  estimate = EstimateDisk(Config(4, 2, 6), std::nullopt, 1000, 0, folder_);
  EXPECT_NE(Describe(*estimate).find("another every 12 steps"), std::string::npos) << Describe(*estimate);
}

}  // namespace
}  // namespace cubist
