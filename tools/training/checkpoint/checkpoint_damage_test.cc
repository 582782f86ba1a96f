// A flipped bit or a missing end anywhere in a checkpoint is found, by name of file and tensor.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

std::string ReadBytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

absl::Status OpenAndVerify(const std::string& folder) {
  const absl::StatusOr<Checkpoint> opened = Checkpoint::Open(folder);
  return opened.ok() ? opened->Verify() : opened.status();
}

class CheckpointDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string root =
        ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root);
    CheckpointStore store(UnsyncedFileOps(), root);
    const absl::StatusOr<SaveReport> report = store.Save(MakeSampleCheckpoint(1).contents);
    ASSERT_TRUE(report.ok()) << report.status();
    folder_ = report->folder;
    for (const auto& entry : fs::directory_iterator(folder_)) files_.push_back(entry.path().string());
    ASSERT_EQ(files_.size(), 6u);
    ASSERT_TRUE(OpenAndVerify(folder_).ok());
  }
  void ExpectFound(const std::string& path, const std::string& what) {
    const absl::Status status = OpenAndVerify(folder_);
    ASSERT_FALSE(status.ok()) << path << " " << what;
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage) << status;
    EXPECT_NE(std::string(status.message()).find(path), std::string::npos) << what << ": " << status;
  }
  std::string folder_;
  std::vector<std::string> files_;
};

TEST_F(CheckpointDamageTest, EveryFlippedByte) {
  size_t flips = 0;
  for (const std::string& path : files_) {
    const std::string bytes = ReadBytes(path);
    for (size_t i = 0; i < bytes.size(); ++i, ++flips) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      WriteBytes(path, damaged);
      ExpectFound(path, "flipped at " + std::to_string(i));
    }
    WriteBytes(path, bytes);
  }
  EXPECT_GT(flips, 2000u);
  RecordProperty("flips", static_cast<int>(flips));
  EXPECT_TRUE(OpenAndVerify(folder_).ok());
}

TEST_F(CheckpointDamageTest, EveryTruncationAndOneByteMore) {
  int cases = 0;
  for (const std::string& path : files_) {
    const std::string bytes = ReadBytes(path);
    for (size_t size = 0; size < bytes.size(); size += size + 16 < bytes.size() ? 7 : 1, ++cases) {
      WriteBytes(path, bytes.substr(0, size));
      ExpectFound(path, "cut to " + std::to_string(size));
    }
    WriteBytes(path, bytes + '\0');
    ExpectFound(path, "longer");
    fs::remove(path);
    ExpectFound(fs::path(path).filename() == "MANIFEST" ? folder_ : path, "removed");
    WriteBytes(path, bytes);
    cases += 2;
  }
  RecordProperty("cases", cases);
}

TEST_F(CheckpointDamageTest, TensorDataIsNamedByTensor) {
  const std::string path = folder_ + "/model.safetensors";
  std::string bytes = ReadBytes(path);
  // The tensors lie in the order of their names; the last one is encoder.convolution.weight.
  bytes.back() = static_cast<char>(bytes.back() ^ 0x10);
  WriteBytes(path, bytes);
  const absl::StatusOr<Checkpoint> opened = Checkpoint::Open(folder_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(opened->Read("model", "encoder.convolution.bias").ok());
  const absl::Status status = opened->Read("model", "encoder.convolution.weight").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(std::string(status.message()).find(path + ": tensor \"encoder.convolution.weight\" does not verify"),
            std::string::npos)
      << status;
  EXPECT_EQ(opened->Verify(), status);
}

TEST_F(CheckpointDamageTest, FilesOfAnotherCheckpointAreNotAccepted) {
  CheckpointStore store(UnsyncedFileOps(), fs::path(folder_).parent_path().string());
  const absl::StatusOr<SaveReport> other = store.Save(MakeSampleCheckpoint(2).contents);
  ASSERT_TRUE(other.ok()) << other.status();
  for (const std::string& path : files_) {
    if (fs::path(path).filename() == "MANIFEST") continue;
    const std::string bytes = ReadBytes(path);
    WriteBytes(path, ReadBytes(other->folder + "/" + fs::path(path).filename().string()));
    ExpectFound(path, "swapped");
    WriteBytes(path, bytes);
  }
}

}  // namespace
}  // namespace cubist
