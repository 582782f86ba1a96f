// A save that ends anywhere, by SIGKILL or by loss of power, leaves the old checkpoint or the new one,
// bit for bit, and nothing that keeps the next run from going on.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/file_system_model.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// What is in the store before the save that is interrupted, and that save.
struct Scenario {
  const char* name;
  std::vector<SampleCheckpoint> before;
  SampleCheckpoint saved;
  Retention retention;
};

std::vector<Scenario> Scenarios() {
  return {
      {"first", {}, MakeSampleCheckpoint(1), {2, 0}},
      {"next", {MakeSampleCheckpoint(1)}, MakeSampleCheckpoint(2), {2, 0}},
      {"removing_older", {MakeSampleCheckpoint(1), MakeSampleCheckpoint(2)}, MakeSampleCheckpoint(3), {1, 0}},
      {"replacing", {MakeSampleCheckpoint(1), MakeSampleCheckpoint(2)}, MakeSampleCheckpoint(2, 1), {2, 0}},
  };
}

class CrashTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    scenario_ = Scenarios()[static_cast<size_t>(GetParam())];
    const ::testing::TestInfo* info = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = info->name();
    for (char& c : name) c = c == '/' ? '_' : c;
    root_ = ::testing::TempDir() + "/" + name;
    fs::remove_all(root_);
    fs::create_directory(root_);
  }
  void Prepare(const std::string& folder) {
    fs::remove_all(folder);
    fs::create_directory(folder);
    CheckpointStore store(UnsyncedFileOps(), folder, {100, 0});
    for (const SampleCheckpoint& sample : scenario_.before) ASSERT_TRUE(store.Save(sample.contents).ok());
  }
  // Starts on `folder` as a run would. True if the interrupted save counts.
  bool StartFinds(const std::string& folder, const std::string& where) {
    CheckpointStore store(UnsyncedFileOps(), folder, scenario_.retention, [](const std::string&) {});
    const absl::Status cleaned = store.Clean();
    EXPECT_TRUE(cleaned.ok()) << where << ": " << cleaned;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      EXPECT_EQ(name.size(), 14u) << where << ": left behind " << name;
    }
    // Not only the latest: what --allow_fallback could choose is whole as well.
    const absl::StatusOr<std::vector<int64_t>> steps = store.List();
    EXPECT_TRUE(steps.ok()) << where << ": " << steps.status();
    for (const int64_t step : steps.ok() ? *steps : std::vector<int64_t>()) {
      const absl::StatusOr<Checkpoint> opened = store.Load(step);
      const absl::Status whole = opened.ok() ? opened->Verify() : opened.status();
      EXPECT_TRUE(whole.ok()) << where << ": step " << step << ": " << whole;
    }
    const absl::StatusOr<std::optional<LoadReport>> loaded = store.LoadLatest(/*allow_fallback=*/false);
    EXPECT_TRUE(loaded.ok()) << where << ": " << loaded.status();
    if (!loaded.ok()) return false;
    bool is_new = false;
    if (!loaded->has_value()) {
      EXPECT_TRUE(scenario_.before.empty()) << where << ": nothing was found";
    } else {
      const Checkpoint& checkpoint = (*loaded)->checkpoint;
      is_new = DifferenceFrom(scenario_.saved, checkpoint).empty();
      const bool is_old = !scenario_.before.empty() && DifferenceFrom(scenario_.before.back(), checkpoint).empty();
      EXPECT_TRUE(is_new || is_old) << where << ": neither the old nor the new state, step " << checkpoint.step();
      EXPECT_TRUE(store.ResumeFrom(checkpoint).ok()) << where;
    }
    // And the run goes on.
    const absl::StatusOr<SaveReport> next = store.Save(MakeSampleCheckpoint(9).contents);
    EXPECT_TRUE(next.ok() && next->removal.ok()) << where << ": " << next.status();
    return is_new;
  }

  Scenario scenario_;
  std::string root_;
};

TEST_P(CrashTest, EveryPrefixOfTheOperationsUnderEveryLossRule) {
  const std::string recorded = root_ + "/recorded", rebuilt = root_ + "/rebuilt";
  Prepare(recorded);
  FileSystemModel model(recorded);
  FaultFileOps ops(UnsyncedFileOps());
  CheckpointStore store(ops, recorded, scenario_.retention);
  ASSERT_TRUE(store.Save(scenario_.saved.contents).ok());
  const std::vector<FileOperation>& log = ops.log();
  ASSERT_GT(log.size(), 25u);
  // The commit is durable after the sync of the store's folder that follows the renaming to step-N.
  size_t durable = 0;
  while (log[durable].kind != FileOperation::Kind::kRename ||
         log[durable].to != store.FolderOf(scenario_.saved.contents.state.step())) {
    ASSERT_LT(++durable, log.size());
  }
  while (log[durable].kind != FileOperation::Kind::kSyncDirectory || log[durable].path != recorded) {
    ASSERT_LT(++durable, log.size());
  }
  int cases = 0, found_new = 0;
  std::map<FileSystemModel::Tree, bool> results;
  for (size_t prefix = 0; prefix <= log.size(); ++prefix) {
    for (const LossRule& rule : AllLossRules()) {
      const std::string where =
          std::string(scenario_.name) + ", before " + Describe(log, prefix) + ", " + Describe(rule);
      // Most rules leave the same at most points; what was tried is not tried again.
      const auto [tried, is_first] = results.try_emplace(model.After(rule), false);
      if (is_first) {
        FileSystemModel::WriteTo(rebuilt, tried->first);
        tried->second = StartFinds(rebuilt, where);
      }
      const bool is_new = tried->second;
      if (prefix > durable) {
        EXPECT_TRUE(is_new) << where << ": a save that was reported as done is lost";
      }
      ++cases;
      found_new += is_new;
    }
    if (prefix < log.size()) model.Apply(log[prefix]);
    if (HasFailure()) return;
  }
  EXPECT_GT(found_new, 0);
  EXPECT_LT(found_new, cases);
  RecordProperty("cases", cases);
  RecordProperty("different_trees", static_cast<int>(results.size()));
}

TEST_P(CrashTest, KilledAtEveryOperation) {
  const std::string folder = root_ + "/killed";
  bool completed = false;
  for (size_t index = 0; !completed; ++index) {
    Prepare(folder);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultFileOps ops(UnsyncedFileOps());
      ops.KillAt(index);
      CheckpointStore store(ops, folder, scenario_.retention);
      ::_exit(store.Save(scenario_.saved.contents).ok() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    completed = WIFEXITED(status);
    if (completed) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      EXPECT_GT(index, 25u);
    } else {
      ASSERT_EQ(WTERMSIG(status), SIGKILL);
    }
    const bool is_new = StartFinds(folder, std::string(scenario_.name) + ", killed at " + std::to_string(index));
    if (completed) {
      EXPECT_TRUE(is_new);
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Saves, CrashTest, ::testing::Range(0, 4),
                         [](const auto& info) { return Scenarios()[static_cast<size_t>(info.param)].name; });

// The method itself: a store that forgot its syncs would be caught.
TEST(CrashMethodTest, AMissingSyncIsFound) {
  const std::string root = ::testing::TempDir() + "/method";
  fs::remove_all(root);
  fs::create_directory(root);
  fs::create_directory(root + "/recorded");
  FileSystemModel model(root + "/recorded");
  FaultFileOps ops(UnsyncedFileOps());
  CheckpointStore store(ops, root + "/recorded");
  ASSERT_TRUE(store.Save(MakeSampleCheckpoint(1).contents).ok());
  for (const FileOperation& operation : ops.log()) {
    if (operation.kind != FileOperation::Kind::kSync) model.Apply(operation);
  }
  FileSystemModel::WriteTo(root + "/rebuilt", model.After({LossRule::Names::kKept, LossRule::Data::kLost}));
  EXPECT_FALSE(CheckpointStore(UnsyncedFileOps(), root + "/rebuilt").LoadLatest(false).ok());
}

}  // namespace
}  // namespace cubist
