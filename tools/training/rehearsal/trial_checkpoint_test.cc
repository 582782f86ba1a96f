#include "tools/training/rehearsal/trial_checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/status.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"

namespace cubist {
namespace {

// A disk that keeps another byte than the `index`-th one it is given.
class LyingFileOps : public FileOps {
 public:
  LyingFileOps(FileOps& inner, size_t index) : inner_(inner), index_(index) {}

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, inner_.Create(path));
    return std::make_unique<LyingFile>(std::move(file), *this);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return inner_.OpenForAppend(path);
  }
  absl::Status MakeDirectory(const std::string& path) override { return inner_.MakeDirectory(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override { return inner_.Rename(from, to); }
  absl::Status RemoveFile(const std::string& path) override { return inner_.RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override { return inner_.RemoveDirectory(path); }
  absl::Status Truncate(const std::string& path, size_t size) override { return inner_.Truncate(path, size); }
  absl::Status SyncDirectory(const std::string& path) override { return inner_.SyncDirectory(path); }

  size_t written() const { return written_; }

 private:
  class LyingFile : public WritableFile {
   public:
    LyingFile(std::unique_ptr<WritableFile> file, LyingFileOps& ops) : file_(std::move(file)), ops_(ops) {}
    absl::Status Append(const void* bytes, size_t size) override {
      std::string kept(static_cast<const char*>(bytes), size);
      if (ops_.written_ <= ops_.index_ && ops_.index_ < ops_.written_ + size) kept[ops_.index_ - ops_.written_] ^= 0x10;
      ops_.written_ += size;
      return file_->Append(kept.data(), kept.size());
    }
    absl::Status Sync() override { return file_->Sync(); }
    absl::Status Close() override { return file_->Close(); }

   private:
    std::unique_ptr<WritableFile> file_;
    LyingFileOps& ops_;
  };

  FileOps& inner_;
  const size_t index_;
  size_t written_ = 0;
};

class TrialCheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(parent_); }
  void TearDown() override { std::filesystem::remove_all(parent_); }
  absl::StatusOr<CheckpointTrial> Try(FileOps& ops) {
    const auto trial = TryCheckpoint(*communicator_, ops, sample_.contents, parent_ + "/.preflight-1");
    EXPECT_TRUE(std::filesystem::is_empty(parent_)) << "something stayed";
    return trial;
  }

  const std::string parent_ = ::testing::TempDir() + "/trial-" + std::to_string(::getpid());
  const std::unique_ptr<Communicator> communicator_ = MakeSingleProcessCommunicator();
  const SampleCheckpoint sample_ = MakeSampleCheckpoint(7);
};

TEST_F(TrialCheckpointTest, ReadsBack) {
  LyingFileOps counting(UnsyncedFileOps(), SIZE_MAX);
  const auto trial = Try(counting);
  ASSERT_TRUE(trial.ok()) << trial.status();
  EXPECT_EQ(trial->bytes, counting.written());
}

TEST_F(TrialCheckpointTest, NoByteIsLostUnseen) {
  LyingFileOps counting(UnsyncedFileOps(), SIZE_MAX);
  ASSERT_TRUE(Try(counting).ok());
  for (size_t index = 0; index < counting.written(); index += 37) {
    LyingFileOps lying(UnsyncedFileOps(), index);
    const absl::Status status = Try(lying).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage) << "byte " << index << ": " << status;
    EXPECT_NE(status.message().find("step-000000007"), std::string::npos) << status;
  }
}

TEST_F(TrialCheckpointTest, AFullDisk) {
  FaultFileOps counting(UnsyncedFileOps());
  ASSERT_TRUE(Try(counting).ok());
  for (size_t i = 0; i < counting.count(); ++i) {
    if (counting.log()[i].kind != FileOperation::Kind::kAppend) continue;
    FaultFileOps full(UnsyncedFileOps());
    full.FailAt(i, ENOSPC);
    const absl::Status status = Try(full).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage) << "operation " << i;
  }
}

}  // namespace
}  // namespace cubist
