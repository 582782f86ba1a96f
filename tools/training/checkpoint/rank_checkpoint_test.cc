// Saving by several ranks: threads with a real communicator.
#include "tools/training/checkpoint/rank_checkpoint.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"
#include "tools/training/communicator/testing/rank_threads.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

std::set<std::string> Names(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

class RankCheckpointTest : public ::testing::Test {
 protected:
  RankCheckpointTest() : folder_(::testing::TempDir() + "/rank_checkpoint") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  // The latest checkpoint, verified.
  Checkpoint Latest() {
    absl::StatusOr<std::optional<LoadReport>> loaded = CheckpointStore(UnsyncedFileOps(), folder_).LoadLatest(false);
    EXPECT_TRUE(loaded.ok() && loaded->has_value()) << loaded.status();
    return std::move((*loaded)->checkpoint);
  }
  // Empty if `checkpoint` has the sample's tensors, bit for bit; its step may be another.
  static std::string TensorsDiffer(SampleCheckpoint sample, const Checkpoint& checkpoint) {
    sample.contents.state = checkpoint.state();
    return DifferenceFrom(sample, checkpoint);
  }

  const std::string folder_;
};

TEST(PartOfRank, RowsFollowEachOtherAndAreShared) {
  std::vector<float> values(7 * 6);
  for (int world_size = 1; world_size <= 9; ++world_size) {
    for (const std::vector<int64_t>& shape :
         std::vector<std::vector<int64_t>>{{}, {1}, {2}, {7}, {4, 3}, {7, 2, 3}, {0}, {0, 3}, {3, 0}}) {
      const TensorGroup whole = {"optimizer", {{"a", DType::kFloat32, shape, values.data()}}};
      int64_t row = 0, row_size = 1;
      for (size_t d = 1; d < shape.size(); ++d) row_size *= shape[d];
      const bool divides = !shape.empty() && shape[0] * row_size > 0;
      for (int rank = 0; rank < world_size; ++rank) {
        const TensorGroup part = PartOfRank(whole, rank, world_size);
        EXPECT_EQ(part.name, "optimizer");
        if (!divides) {
          ASSERT_EQ(part.tensors.size(), rank == 0 ? 1u : 0u);
          for (const TensorSource& all : part.tensors) {
            EXPECT_EQ(all.shape, shape);
            EXPECT_TRUE(all.global_shape.empty());
          }
          continue;
        }
        const int64_t share = shape[0] / world_size + (rank < shape[0] % world_size ? 1 : 0);
        ASSERT_EQ(part.tensors.size(), share > 0 ? 1u : 0u);
        if (share == 0) continue;
        const TensorSource& slice = part.tensors[0];
        EXPECT_EQ(slice.name, "a");
        EXPECT_EQ(slice.global_shape, shape);
        EXPECT_EQ(slice.shape[0], share);
        EXPECT_EQ(slice.offset[0], row);
        for (size_t d = 1; d < shape.size(); ++d) {
          EXPECT_EQ(slice.shape[d], shape[d]);
          EXPECT_EQ(slice.offset[d], 0);
        }
        EXPECT_EQ(slice.data, values.data() + row * row_size);
        row += share;
      }
      EXPECT_EQ(row, divides ? shape[0] : 0);
    }
  }
}

// Each world goes on from what the one before has saved.
TEST_F(RankCheckpointTest, LoadsAtAnyOtherNumberOfRanks) {
  const SampleCheckpoint sample = MakeSampleCheckpoint(1);
  ASSERT_TRUE(CheckpointStore(UnsyncedFileOps(), folder_).Save(sample.contents).ok());
  const std::set<std::string> names_of_one = Names(Latest().folder());
  int64_t step = 1;
  for (const int world_size : {4, 1, 2, 4, 3, 1, 9, 2}) {
    ++step;
    RunRanks(world_size, [&](Communicator& communicator) {
      const Checkpoint before = Latest();
      ASSERT_EQ(before.step(), step - 1);
      SampleCheckpoint read;
      for (const std::string& group : before.Groups()) {
        absl::StatusOr<std::map<std::string, HostTensor>> tensors = before.ReadAll(group);
        ASSERT_TRUE(tensors.ok()) << tensors.status();
        // Those who do not write a group need not have it.
        if (communicator.rank() != 0 && !IsSplitByRanks(group)) continue;
        TensorGroup& views = read.contents.groups.emplace_back();
        views.name = group;
        for (const auto& [name, tensor] : *tensors) {
          views.tensors.push_back({name, tensor.dtype(), tensor.shape(), tensor.bytes()});
        }
        read.tensors[group] = *std::move(tensors);
      }
      read.contents.state = before.state();
      read.contents.state.set_step(step);
      read.contents.config_text = before.config_text();
      ASSERT_TRUE(communicator.Barrier().ok());
      CheckpointStore store(UnsyncedFileOps(), folder_);
      const absl::StatusOr<SaveReport> report =
          SaveByRanks(communicator, communicator.rank() == 0 ? &store : nullptr, UnsyncedFileOps(), read.contents);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(report->folder, communicator.rank() == 0 ? store.FolderOf(step) : "");
    });
    const Checkpoint saved = Latest();
    ASSERT_EQ(saved.step(), step) << world_size;
    EXPECT_EQ(TensorsDiffer(sample, saved), "") << world_size;
    std::set<std::string> expected = names_of_one;
    if (world_size > 1) {
      expected.erase("optimizer.safetensors");
      for (int number = 1; number <= world_size; ++number) {
        expected.insert("optimizer-0000" + std::to_string(number) + "-of-0000" + std::to_string(world_size) +
                        ".safetensors");
      }
    }
    EXPECT_EQ(Names(saved.folder()), expected) << world_size;
  }
}

TEST_F(RankCheckpointTest, OneRankWritesWhatTheStoreWrites) {
  const SampleCheckpoint sample = MakeSampleCheckpoint(3);
  ASSERT_TRUE(CheckpointStore(UnsyncedFileOps(), folder_ + "/store").Save(sample.contents).ok());
  CheckpointStore store(UnsyncedFileOps(), folder_ + "/ranks");
  ASSERT_TRUE(SaveByRanks(*MakeSingleProcessCommunicator(), &store, UnsyncedFileOps(), sample.contents).ok());
  const std::string step = "/step-000000003";
  EXPECT_EQ(Names(folder_ + "/store" + step), Names(folder_ + "/ranks" + step));
  for (const std::string& name : Names(folder_ + "/store" + step)) {
    if (name == "MANIFEST") continue;  // has the time
    EXPECT_EQ(*ReadWholeFile(folder_ + "/store" + step + "/" + name),
              *ReadWholeFile(folder_ + "/ranks" + step + "/" + name))
        << name;
  }
}

// Whatever operation of whichever rank fails, once or from then on, every rank is told the same.
TEST_F(RankCheckpointTest, AFailureOfAnyRankIsEveryRanksAndTheOldStays) {
  constexpr int kWorldSize = 3;
  const SampleCheckpoint older = MakeSampleCheckpoint(1), newer = MakeSampleCheckpoint(2);
  std::vector<size_t> counts(kWorldSize);  // operations of each rank in a save without a failure
  std::vector<absl::Status> statuses(kWorldSize);
  int failed = 0, saved = 0;
  RunRanks(kWorldSize, [&](Communicator& communicator) {
    const auto rank = static_cast<size_t>(communicator.rank());
    const auto save = [&](FaultFileOps& ops) {
      // Removing the older one is part of it.
      CheckpointStore store(ops, folder_, {1, 0}, [](const std::string&) {});
      if (rank == 0) {
        fs::remove_all(folder_);
        ASSERT_TRUE(CheckpointStore(UnsyncedFileOps(), folder_).Save(older.contents).ok());
      }
      ASSERT_TRUE(communicator.Barrier().ok());
      statuses[rank] = SaveByRanks(communicator, rank == 0 ? &store : nullptr, ops, newer.contents).status();
      ASSERT_TRUE(communicator.Barrier().ok());
    };
    FaultFileOps unharmed(UnsyncedFileOps());
    save(unharmed);
    ASSERT_TRUE(statuses[rank].ok()) << statuses[rank];
    counts[rank] = unharmed.count();
    ASSERT_TRUE(communicator.Barrier().ok());
    for (size_t victim = 0; victim < kWorldSize; ++victim) {
      ASSERT_GT(counts[victim], 5u);
      for (size_t index = 0; index < counts[victim]; ++index) {
        for (const bool until_end : {false, true}) {
          FaultFileOps ops(UnsyncedFileOps());
          if (rank == victim) ops.FailAt(index, ENOSPC, until_end);
          save(ops);
          if (rank == 0) {
            const std::string where = "operation " + std::to_string(index) + " of rank " + std::to_string(victim);
            const bool is_saved = statuses[0].ok();
            for (size_t r = 0; r < kWorldSize; ++r) {
              const std::string prefix = is_saved || r == victim ? "" : "rank " + std::to_string(victim) + ": ";
              EXPECT_EQ(ExitCodeOf(statuses[r]), is_saved ? ExitCode::kDone : ExitCode::kStorage) << where;
              EXPECT_EQ(std::string(statuses[r].message()), prefix + std::string(statuses[victim].message())) << where;
            }
            if (victim != 0) {
              EXPECT_FALSE(is_saved) << where;
            }
            // What could not be removed at once is removed at the next start.
            if (!is_saved && !until_end) {
              EXPECT_EQ(Names(folder_), std::set<std::string>{"step-000000001"}) << where;
            }
            EXPECT_TRUE(CheckpointStore(UnsyncedFileOps(), folder_).Clean().ok()) << where;
            // A commit whose sync failed cannot be taken back on a disk that does nothing any more.
            const bool is_newer = is_saved || (until_end && Latest().step() == 2);
            EXPECT_EQ(DifferenceFrom(is_newer ? newer : older, Latest()), "") << where;
            ++(is_saved ? saved : failed);
          }
          ASSERT_TRUE(communicator.Barrier().ok());
        }
      }
    }
  });
  EXPECT_GT(failed, 100);
  EXPECT_GT(saved, 0);  // when it was done, and only an older one could not be removed
  RecordProperty("failed", failed);
}

TEST_F(RankCheckpointTest, ALostRankEndsTheSave) {
  const SampleCheckpoint older = MakeSampleCheckpoint(1), newer = MakeSampleCheckpoint(2);
  ASSERT_TRUE(CheckpointStore(UnsyncedFileOps(), folder_).Save(older.contents).ok());
  RunRanks(3, [&](Communicator& communicator) {
    if (communicator.rank() == 1) return communicator.Abort("lost");
    CheckpointStore store(UnsyncedFileOps(), folder_);
    const absl::Status status =
        SaveByRanks(communicator, communicator.rank() == 0 ? &store : nullptr, UnsyncedFileOps(), newer.contents)
            .status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost) << status;
  });
  EXPECT_EQ(Names(folder_), std::set<std::string>{"step-000000001"});
  EXPECT_EQ(DifferenceFrom(older, Latest()), "");
}

}  // namespace
}  // namespace cubist
