// A save that ends anywhere, by SIGKILL or by loss of power, leaves the old checkpoint or the new one,
// bit for bit, and nothing that keeps the next run from going on. So does one that several ranks write, in
// whatever order their operations come.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/rank_checkpoint.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/file_system_model.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"
#include "tools/training/communicator/testing/rank_threads.h"

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

  // Rebuilds the folder `recorded` after every prefix of `log` under every loss rule, and starts on it. `model` is the
  // folder before.
  void CheckEveryPrefix(FileSystemModel& model, const std::vector<FileOperation>& log, const std::string& recorded) {
    const std::string rebuilt = root_ + "/rebuilt";
    const std::string committed =
        CheckpointStore(UnsyncedFileOps(), recorded).FolderOf(scenario_.saved.contents.state.step());
    // The commit is durable after the sync of the store's folder that follows the renaming to step-N.
    size_t durable = 0;
    while (log[durable].kind != FileOperation::Kind::kRename || log[durable].to != committed) {
      ASSERT_LT(++durable, log.size());
    }
    while (log[durable].kind != FileOperation::Kind::kSyncDirectory || log[durable].path != recorded) {
      ASSERT_LT(++durable, log.size());
    }
    int found_new = 0, found_old = 0;
    for (size_t prefix = 0; prefix <= log.size(); ++prefix) {
      for (const LossRule& rule : AllLossRules()) {
        const std::string where =
            std::string(scenario_.name) + ", before " + Describe(log, prefix) + ", " + Describe(rule);
        // Most rules leave the same at most points; what was tried is not tried again.
        const auto [tried, is_first] = results_.try_emplace(model.After(rule), false);
        if (is_first) {
          FileSystemModel::WriteTo(rebuilt, tried->first);
          tried->second = StartFinds(rebuilt, where);
        }
        const bool is_new = tried->second;
        if (prefix > durable) {
          EXPECT_TRUE(is_new) << where << ": a save that was reported as done is lost";
        }
        ++(is_new ? found_new : found_old);
        ++cases_;
      }
      if (prefix < log.size()) model.Apply(log[prefix]);
      if (HasFailure()) return;
    }
    EXPECT_GT(found_new, 0);
    EXPECT_GT(found_old, 0);
    RecordProperty("cases", cases_);
    RecordProperty("different_trees", static_cast<int>(results_.size()));
  }

  Scenario scenario_;
  std::string root_;
  std::map<FileSystemModel::Tree, bool> results_;
  int cases_ = 0;
};

TEST_P(CrashTest, EveryPrefixOfTheOperationsUnderEveryLossRule) {
  const std::string recorded = root_ + "/recorded";
  Prepare(recorded);
  FileSystemModel model(recorded);
  FaultFileOps ops(UnsyncedFileOps());
  CheckpointStore store(ops, recorded, scenario_.retention);
  ASSERT_TRUE(store.Save(scenario_.saved.contents).ok());
  ASSERT_GT(ops.log().size(), 25u);
  CheckEveryPrefix(model, ops.log(), recorded);
}

// One order in which the operations of all ranks may come: rank 0's as they are, and those of the others, each in its
// own order, between the making of the temporary folder and the commit. `choose` picks the rank whose
// turn it is from those that have something left to do.
std::vector<FileOperation> Interleave(const std::vector<std::vector<FileOperation>>& logs,
                                      const std::function<size_t(const std::vector<size_t>& ranks)>& choose) {
  using Kind = FileOperation::Kind;
  const std::vector<FileOperation>& first = logs[0];
  const auto ends_with = [](const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  const auto begin =
      std::find_if(first.begin(), first.end(),
                   [](const FileOperation& operation) {
                     return operation.kind == Kind::kMakeDirectory && operation.path.find(".tmp-") != std::string::npos;
                   }) +
      1;
  const auto end = std::find_if(begin, first.end(), [&](const FileOperation& operation) {
    return operation.kind == Kind::kCreate && ends_with(operation.path, "/training_state.pb");
  });
  std::vector<FileOperation> all(first.begin(), begin);
  std::vector<std::vector<FileOperation>> left = logs;
  left[0].assign(begin, end);
  while (true) {
    std::vector<size_t> ranks;
    for (size_t rank = 0; rank < left.size(); ++rank) {
      if (!left[rank].empty()) ranks.push_back(rank);
    }
    if (ranks.empty()) break;
    const size_t rank = choose(ranks);
    FileOperation& operation = left[rank].front();
    // Files are numbered by each rank from 0.
    if (operation.file >= 0) operation.file += 1000 * static_cast<int64_t>(rank);
    all.push_back(std::move(operation));
    left[rank].erase(left[rank].begin());
  }
  all.insert(all.end(), end, first.end());
  return all;
}

TEST_P(CrashTest, EveryPrefixWhenSeveralRanksSave) {
  constexpr int kWorldSize = 3;
  const std::string recorded = root_ + "/recorded";
  Prepare(recorded);
  fs::copy(recorded, root_ + "/before", fs::copy_options::recursive);
  std::vector<FaultFileOps> ops(kWorldSize, FaultFileOps(UnsyncedFileOps()));
  RunRanks(kWorldSize, [&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    CheckpointStore store(ops[0], recorded, scenario_.retention);
    const absl::StatusOr<SaveReport> saved =
        SaveByRanks(communicator, rank == 0 ? &store : nullptr, ops[rank], scenario_.saved.contents);
    EXPECT_TRUE(saved.ok() && saved->removal.ok()) << saved.status();
  });
  std::vector<std::vector<FileOperation>> logs;
  for (const FaultFileOps& of_rank : ops) {
    ASSERT_GT(of_rank.log().size(), 5u);
    logs.push_back(of_rank.log());
  }
  std::mt19937 random(1);
  size_t turn = 0;
  const std::function<size_t(const std::vector<size_t>&)> choices[] = {
      [](const auto& ranks) { return ranks.front(); },
      [](const auto& ranks) { return ranks.back(); },
      [&turn](const auto& ranks) { return ranks[turn++ % ranks.size()]; },
      [&random](const auto& ranks) { return ranks[random() % ranks.size()]; },
      [&random](const auto& ranks) { return ranks[random() % ranks.size()]; },
  };
  for (const auto& choose : choices) {
    const std::vector<FileOperation> log = Interleave(logs, choose);
    ASSERT_EQ(log.size(), logs[0].size() + logs[1].size() + logs[2].size());
    // The model starts from what was there before, under the name that the log knows.
    fs::remove_all(recorded);
    fs::copy(root_ + "/before", recorded, fs::copy_options::recursive);
    FileSystemModel model(recorded);
    CheckEveryPrefix(model, log, recorded);
    if (HasFailure()) return;
  }
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
