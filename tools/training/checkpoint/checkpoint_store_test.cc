#include "tools/training/checkpoint/checkpoint_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    folder_ += "/run/checkpoints";
  }
  CheckpointStore MakeStore(Retention retention = {100, 0}) {
    return CheckpointStore(UnsyncedFileOps(), folder_, retention,
                           [this](const std::string& line) { warnings_ += line + "\n"; });
  }
  void Save(CheckpointStore& store, int64_t step, int variant = 0) {
    const absl::StatusOr<SaveReport> report = store.Save(MakeSampleCheckpoint(step, variant).contents);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->removal.ok()) << report->removal;
    EXPECT_EQ(report->folder, store.FolderOf(step));
  }
  std::vector<int64_t> Steps(const CheckpointStore& store) {
    const absl::StatusOr<std::vector<int64_t>> steps = store.List();
    EXPECT_TRUE(steps.ok()) << steps.status();
    return steps.ok() ? *steps : std::vector<int64_t>{-1};
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  // Changes one byte.
  static void Damage(const std::string& path, int64_t offset) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(offset, offset < 0 ? std::ios::end : std::ios::beg);
    const std::streampos position = stream.tellg();
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(position);
    stream.put(byte);
    ASSERT_TRUE(stream.good());
  }

  std::string folder_;
  std::string warnings_;
};

TEST_F(CheckpointStoreTest, NothingYetIsNoErrorAndMakesNothing) {
  CheckpointStore store = MakeStore();
  EXPECT_TRUE(store.Clean().ok());
  EXPECT_EQ(Steps(store), std::vector<int64_t>());
  EXPECT_EQ(*store.Latest(), std::nullopt);
  const auto loaded = store.LoadLatest(false);
  ASSERT_TRUE(loaded.ok());
  EXPECT_FALSE(loaded->has_value());
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(CheckpointStoreTest, CannotTellIsAnError) {
  // A file where the folder should be: not "no checkpoint yet".
  fs::create_directories(fs::path(folder_).parent_path());
  std::ofstream(folder_) << "x";
  CheckpointStore store = MakeStore();
  EXPECT_EQ(ExitCodeOf(store.List().status()), ExitCode::kStorage);
  EXPECT_FALSE(store.LoadLatest(true).ok());
}

TEST_F(CheckpointStoreTest, RoundTripIsBitEqual) {
  const SampleCheckpoint sample = MakeSampleCheckpoint(6250);
  CheckpointStore store(SystemFileOps(), folder_);
  const absl::StatusOr<SaveReport> report = store.Save(sample.contents);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(fs::path(report->folder).filename(), "step-000006250");
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(report->folder)) bytes += entry.file_size();
  EXPECT_EQ(report->bytes, bytes);
  EXPECT_TRUE(fs::exists(report->folder + "/model.safetensors"));
  EXPECT_EQ(Names(), std::vector<std::string>{"step-000006250"});

  const absl::StatusOr<Checkpoint> loaded = store.Load(6250);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(DifferenceFrom(sample, *loaded), "");
  EXPECT_EQ(loaded->manifest_sha256(), report->manifest_sha256);
  EXPECT_EQ(loaded->manifest().config_hash(), "0123");
  EXPECT_EQ(loaded->manifest().step(), 6250);
  EXPECT_TRUE(loaded->Verify().ok());
  EXPECT_NE(DifferenceFrom(MakeSampleCheckpoint(6250, 1), *loaded), "");
}

TEST_F(CheckpointStoreTest, StateBytesDoNotDependOnHashOrder) {
  CheckpointStore store = MakeStore();
  const SampleCheckpoint sample = MakeSampleCheckpoint(5);
  Save(store, 5);
  CheckpointContents copy = sample.contents;
  // The same map filled in another order.
  copy.state.clear_counters();
  for (const char* name : {"another", "schedule/steps", "ema/updates"}) (*copy.state.mutable_counters())[name] = 5;
  CheckpointStore other(UnsyncedFileOps(), folder_ + "-other");
  ASSERT_TRUE(other.Save(copy).ok());
  EXPECT_EQ(store.Load(5)->manifest().plain_files(0).sha256(), other.Load(5)->manifest().plain_files(0).sha256());
}

TEST_F(CheckpointStoreTest, UnknownNamesAreErrorsThatNameThem) {
  CheckpointStore store = MakeStore();
  Save(store, 1);
  const absl::StatusOr<Checkpoint> loaded = store.Load(1);
  ASSERT_TRUE(loaded.ok());
  EXPECT_NE(std::string(loaded->Read("model", "nothing").status().message()).find("\"nothing\""), std::string::npos);
  EXPECT_NE(std::string(loaded->Read("weights", "x").status().message()).find("ema, model, optimizer"),
            std::string::npos);
  EXPECT_EQ(ExitCodeOf(store.Load(2).status()), ExitCode::kStorage);
}

TEST_F(CheckpointStoreTest, ParentsMakeAChain) {
  CheckpointStore store = MakeStore();
  store.SetParent(std::string(64, 'a'));
  Save(store, 1);
  Save(store, 2);
  EXPECT_EQ(store.Load(1)->manifest().parent_sha256(), std::string(64, 'a'));
  EXPECT_EQ(store.Load(2)->manifest().parent_sha256(), store.Load(1)->manifest_sha256());
  CheckpointStore again = MakeStore();
  const Checkpoint first = *again.Load(2);
  ASSERT_TRUE(again.ResumeFrom(first).ok());
  Save(again, 3);
  EXPECT_EQ(again.Load(3)->manifest().parent_sha256(), first.manifest_sha256());
}

TEST_F(CheckpointStoreTest, RetentionKeepsTheNewestAndMilestones) {
  CheckpointStore store = MakeStore({2, 4});
  for (int64_t step = 1; step <= 10; ++step) Save(store, step);
  EXPECT_EQ(Steps(store), (std::vector<int64_t>{4, 8, 9, 10}));
  EXPECT_EQ(Names().size(), 4u);
}

TEST_F(CheckpointStoreTest, WhatWasResumedFromStaysUntilANewerIsCommitted) {
  {
    CheckpointStore store = MakeStore();
    for (int64_t step : {1, 2, 3}) Save(store, step);
  }
  CheckpointStore store = MakeStore({1, 0});
  ASSERT_TRUE(store.ResumeFrom(*store.Load(3)).ok());
  EXPECT_EQ(Steps(store), (std::vector<int64_t>{1, 2, 3}));
  Save(store, 4);
  EXPECT_EQ(Steps(store), std::vector<int64_t>{4});
}

TEST_F(CheckpointStoreTest, ResumingFromAnOlderOneSetsTheNewerAside) {
  CheckpointStore store = MakeStore({1, 0});
  {
    CheckpointStore keeps_all = MakeStore();
    for (int64_t step : {1, 2, 3}) Save(keeps_all, step);
  }
  ASSERT_TRUE(store.ResumeFrom(*store.Load(1)).ok());
  EXPECT_EQ(Steps(store), std::vector<int64_t>{1});
  Save(store, 2);
  EXPECT_EQ(Steps(store), std::vector<int64_t>{2});
  ASSERT_TRUE(store.Clean().ok());
  const std::vector<std::string> names = Names();
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].substr(0, 26), ".set-aside-step-000000002.");
  EXPECT_TRUE(Checkpoint::Open(folder_ + "/" + names[0]).ok());
  EXPECT_NE(warnings_.find("step 3"), std::string::npos);
}

TEST_F(CheckpointStoreTest, SavingAStepAgainReplacesIt) {
  CheckpointStore store = MakeStore();
  Save(store, 1, 0);
  Save(store, 1, 1);
  EXPECT_EQ(DifferenceFrom(MakeSampleCheckpoint(1, 1), *store.Load(1)), "");
  EXPECT_EQ(Names(), std::vector<std::string>{"step-000000001"});
}

TEST_F(CheckpointStoreTest, FallbackOnlyWhenAllowedAndLoudly) {
  CheckpointStore store = MakeStore();
  for (int64_t step : {1, 2, 3}) Save(store, step);
  Damage(store.FolderOf(3) + "/optimizer.safetensors", -1);
  Damage(store.FolderOf(2) + "/training_state.pb", 0);
  const auto refused = store.LoadLatest(false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(ExitCodeOf(refused.status()), ExitCode::kStorage);
  const std::string message(refused.status().message());
  for (const char* part : {"step-000000003/optimizer.safetensors", "tensor \"moment/", "--allow_fallback", "damaged"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(warnings_, "");

  const auto loaded = store.LoadLatest(true);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->has_value());
  EXPECT_EQ((*loaded)->checkpoint.step(), 1);
  EXPECT_EQ(DifferenceFrom(MakeSampleCheckpoint(1), (*loaded)->checkpoint), "");
  ASSERT_EQ((*loaded)->passed_over.size(), 2u);
  EXPECT_EQ((*loaded)->passed_over[0].first, 3);
  EXPECT_NE(warnings_.find("step 3 cannot be used"), std::string::npos) << warnings_;
  EXPECT_NE(warnings_.find("training_state.pb"), std::string::npos) << warnings_;
  EXPECT_NE(warnings_.find("going on from step 1 instead of step 3"), std::string::npos) << warnings_;

  // None left: an error, never a new run.
  Damage(store.FolderOf(1) + "/MANIFEST", 50);
  EXPECT_EQ(ExitCodeOf(store.LoadLatest(true).status()), ExitCode::kStorage);
}

TEST_F(CheckpointStoreTest, AFolderWithoutManifestIsNoCheckpointAndIsCleanedUp) {
  CheckpointStore store = MakeStore();
  Save(store, 1);
  fs::create_directory(folder_ + "/step-000000002");
  std::ofstream(folder_ + "/step-000000002/model.safetensors") << "x";
  fs::create_directory(folder_ + "/step-000000003.tmp-1-1");
  fs::create_directory(folder_ + "/.trash-step-000000001.1-1");
  // What is not ours stays.
  fs::create_directory(folder_ + "/step-3");
  std::ofstream(folder_ + "/notes.txt") << "x";
  EXPECT_EQ(Steps(store), std::vector<int64_t>{1});
  EXPECT_EQ(*store.Latest(), 1);
  EXPECT_FALSE(store.Load(2).ok());
  ASSERT_TRUE(store.Clean().ok());
  EXPECT_EQ(Names(), (std::vector<std::string>{"notes.txt", "step-000000001", "step-3"}));
}

TEST_F(CheckpointStoreTest, ARenamedFolderIsNotTakenForAnotherStep) {
  CheckpointStore store = MakeStore();
  Save(store, 1);
  fs::rename(store.FolderOf(1), store.FolderOf(9));
  const absl::Status status = store.Load(9).status();
  EXPECT_NE(std::string(status.message()).find("of step 1"), std::string::npos) << status;
  // By its path it is a checkpoint all the same.
  EXPECT_TRUE(Checkpoint::Open(store.FolderOf(9)).ok());
}

TEST_F(CheckpointStoreTest, DeleteRemovesOneAndNamesAMissingOne) {
  CheckpointStore store = MakeStore();
  for (int64_t step : {1, 2}) Save(store, step);
  ASSERT_TRUE(store.Delete(2).ok());
  EXPECT_EQ(Names(), std::vector<std::string>{"step-000000001"});
  EXPECT_EQ(ExitCodeOf(store.Delete(2)), ExitCode::kStorage);
}

// Parts by their place in the whole tensor: any number of writers, any cut.
TEST_F(CheckpointStoreTest, PartsWrittenBySeveralRanksMakeTheWholeTensors) {
  const HostTensor whole = HostTensor::Of<int32_t>(
      [] {
        std::vector<int32_t> values(4 * 3 * 5);
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(100 + i);
        return values;
      }(),
      {4, 3, 5});
  const auto cut = [&whole](std::vector<int64_t> offset, std::vector<int64_t> shape) {
    HostTensor part(DType::kInt32, shape);
    int64_t out = 0;
    for (int64_t i = 0; i < shape[0]; ++i) {
      for (int64_t j = 0; j < shape[1]; ++j) {
        for (int64_t k = 0; k < shape[2]; ++k) {
          part.data<int32_t>()[out++] =
              whole.data<int32_t>()[((offset[0] + i) * 3 + offset[1] + j) * 5 + offset[2] + k];
        }
      }
    }
    return part;
  };
  CheckpointStore store = MakeStore();
  CheckpointContents contents;
  contents.state.set_step(3);
  const auto save = [&](const std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>>& parts) {
    const absl::StatusOr<CheckpointStore::Pending> pending = store.Begin(3);
    EXPECT_TRUE(pending.ok()) << pending.status();
    std::vector<checkpoint::TensorFile> files;
    for (size_t rank = 0; rank < parts.size(); ++rank) {
      const auto& [offset, shape] = parts[rank];
      const HostTensor part = cut(offset, shape);
      const TensorGroup group = {"optimizer", {{"moment", DType::kInt32, shape, part.bytes(), whole.shape(), offset}}};
      const auto file = CheckpointStore::WriteTensorFile(UnsyncedFileOps(), pending->temporary_folder,
                                                         "optimizer-" + std::to_string(rank) + ".safetensors", group);
      EXPECT_TRUE(file.ok()) << file.status();
      files.push_back(*file);
    }
    return store.Commit(*pending, files, contents).status();
  };
  for (const auto& parts : std::vector<std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>>>{
           {{{0, 0, 0}, {4, 3, 5}}},
           {{{0, 0, 0}, {1, 3, 5}}, {{1, 0, 0}, {3, 3, 5}}},
           {{{0, 0, 0}, {4, 2, 5}}, {{0, 2, 0}, {4, 1, 2}}, {{0, 2, 2}, {4, 1, 3}}},
           {{{0, 0, 4}, {4, 3, 1}}, {{0, 0, 0}, {4, 3, 4}}}}) {
    ASSERT_TRUE(save(parts).ok());
    const absl::StatusOr<Checkpoint> loaded = store.Load(3);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const absl::StatusOr<HostTensor> read = loaded->Read("optimizer", "moment");
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->shape(), whole.shape());
    EXPECT_TRUE(std::equal(read->bytes(), read->bytes() + read->byte_size(), whole.bytes()));
  }
  // A gap and an overlap are seen when the checkpoint is opened.
  ASSERT_TRUE(save({{{0, 0, 0}, {1, 3, 5}}, {{2, 0, 0}, {2, 3, 5}}}).ok());
  EXPECT_NE(std::string(store.Load(3).status().message()).find("a file is missing"), std::string::npos);
  ASSERT_TRUE(save({{{0, 0, 0}, {2, 3, 5}}, {{1, 0, 0}, {2, 3, 5}}}).ok());
  EXPECT_NE(std::string(store.Load(3).status().message()).find("overlaps"), std::string::npos);
}

// Every operation of a save fails once: with one failure the old checkpoint is what counts, or the
// save was reported as done.
TEST_F(CheckpointStoreTest, AFailureAtAnyOperationKeepsTheOldCheckpoint) {
  int saves_failed = 0, removals_failed = 0;
  for (const int error_number : {ENOSPC, EDQUOT, EIO, ESTALE}) {
    for (size_t index = 0;; ++index) {
      fs::remove_all(folder_);
      CheckpointStore before = MakeStore();
      Save(before, 1);
      FaultFileOps ops(UnsyncedFileOps());
      ops.FailAt(index, error_number);
      CheckpointStore store(ops, folder_, {1, 0});
      const absl::StatusOr<SaveReport> report = store.Save(MakeSampleCheckpoint(2).contents);
      if (ops.count() <= index) {
        ASSERT_TRUE(report.ok());
        ASSERT_GT(index, 20u);
        break;
      }
      const int64_t expected = report.ok() ? 2 : 1;
      if (!report.ok()) {
        ++saves_failed;
        EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kStorage) << report.status();
        const std::string message(report.status().message());
        EXPECT_NE(message.find("injected"), std::string::npos) << message;
        if (index > 0) {
          EXPECT_NE(message.find("step 2 could not be saved (it needs "), std::string::npos) << message;
          EXPECT_NE(message.find(" GB are free"), std::string::npos) << message;
        }
      } else {
        ++removals_failed;
        EXPECT_FALSE(report->removal.ok()) << index;
      }
      // The same process and the next start both see it, and can go on.
      EXPECT_EQ(*store.Latest(), expected) << index;
      ASSERT_TRUE(store.Clean().ok());
      const auto loaded = store.LoadLatest(false);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(DifferenceFrom(MakeSampleCheckpoint(expected), (*loaded)->checkpoint), "") << index;
      ASSERT_TRUE(store.Save(MakeSampleCheckpoint(3).contents).ok());
      EXPECT_EQ(Names(), std::vector<std::string>{"step-000000003"}) << index;
    }
  }
  EXPECT_GT(saves_failed, 30);
  EXPECT_GT(removals_failed, 4);
  RecordProperty("operations_failed", saves_failed + removals_failed);
}

// The disk fails for good in the middle of a save: nothing can be cleaned up, and still the next
// start finds the old checkpoint, or the new one if only its last sync was missing.
TEST_F(CheckpointStoreTest, AFailureForGoodAtAnyOperation) {
  for (size_t index = 0;; ++index) {
    fs::remove_all(folder_);
    CheckpointStore before = MakeStore();
    Save(before, 1);
    FaultFileOps ops(UnsyncedFileOps());
    ops.FailAt(index, EIO, /*until_end=*/true);
    CheckpointStore store(ops, folder_, {1, 0});
    const bool saved = store.Save(MakeSampleCheckpoint(2).contents).ok();
    if (ops.count() <= index) break;
    CheckpointStore next = MakeStore();
    ASSERT_TRUE(next.Clean().ok());
    const auto loaded = next.LoadLatest(false);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const int64_t step = (*loaded)->checkpoint.step();
    EXPECT_EQ(DifferenceFrom(MakeSampleCheckpoint(step), (*loaded)->checkpoint), "") << index;
    if (saved) {
      EXPECT_EQ(step, 2);
    }
  }
}

TEST_F(CheckpointStoreTest, SavesWithoutNamesDataOrStepAreOurBug) {
  CheckpointStore store = MakeStore();
  const float value = 1;
  const auto save = [&](TensorGroup group, int64_t step) {
    CheckpointContents contents;
    contents.state.set_step(step);
    contents.groups.push_back(std::move(group));
    return store.Save(contents).status();
  };
  EXPECT_TRUE(save({"model", {{"a", DType::kFloat32, {1}, &value}}}, 1).ok());
  EXPECT_FALSE(save({"model", {{"a", DType::kFloat32, {1}, nullptr}}}, 2).ok());
  EXPECT_FALSE(save({"model", {{"a", DType::kFloat32, {-1}, &value}}}, 2).ok());
  EXPECT_FALSE(save({"model", {{"a", DType::kFloat32, {1}, &value}, {"a", DType::kFloat32, {1}, &value}}}, 2).ok());
  EXPECT_FALSE(save({"../model", {{"a", DType::kFloat32, {1}, &value}}}, 2).ok());
  EXPECT_FALSE(save({"model", {{"a", DType::kFloat32, {1}, &value}}}, -2).ok());
  EXPECT_EQ(Names(), std::vector<std::string>{"step-000000001"});
}

}  // namespace
}  // namespace cubist
