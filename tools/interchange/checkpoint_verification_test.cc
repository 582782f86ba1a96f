// A flipped byte or a missing end is found in each format, as far as the format has checksums.
#include "tools/interchange/checkpoint_verification.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/status.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/testing/sample_files.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

std::string ReadBytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string Folder() {
  // TempDir ends with a slash.
  const std::string folder = ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

absl::Status Verify(const std::string& path) { return VerifyCheckpoint(path, nullptr).status(); }

// Whether `path` holds exactly the sample's weights.
bool HoldsTheSample(const std::string& path) {
  const auto opened = AnyCheckpoint::Open(path);
  const auto expected = SampleTensors(7).at("model");
  if (!opened.ok() || (*opened)->tensors().size() != expected.size()) return false;
  for (const auto& [name, tensor] : expected) {
    const auto number = (*opened)->Find("model", name);
    if (!number.has_value()) return false;
    const auto read = (*opened)->Read(*number);
    if (!read.ok() || read->dtype() != tensor.dtype() || read->shape() != tensor.shape() ||
        std::memcmp(read->bytes(), tensor.bytes(), tensor.byte_size()) != 0) {
      return false;
    }
  }
  return true;
}

// An error of this kind that names the file.
void ExpectError(const absl::Status& status, ExitCode code, const std::string& path, const std::string& what) {
  ASSERT_FALSE(status.ok()) << what << ": not found";
  EXPECT_EQ(ExitCodeOf(status), code) << what << ": " << status;
  EXPECT_NE(std::string(status.message()).find(path), std::string::npos) << what << ": " << status;
}

// Calls see(flipped file, where, mask) for every byte of the file, all of whose bits, or one, are inverted.
void ForEachFlip(const std::string& path, size_t begin, size_t end,
                 const std::function<void(size_t at, int mask)>& see) {
  const std::string bytes = ReadBytes(path);
  ASSERT_LE(end, bytes.size());
  for (size_t i = begin; i < end; ++i) {
    for (const int mask : {0xff, 0x01}) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ mask);
      WriteBytes(path, flipped);
      see(i, mask);
    }
  }
  WriteBytes(path, bytes);
}

void ExpectTruncationsAreFound(const std::string& checkpoint, const std::string& path, ExitCode code) {
  const std::string bytes = ReadBytes(path);
  for (size_t size = 0; size < bytes.size(); size += 512) {
    WriteBytes(path, bytes.substr(0, size));
    ExpectError(Verify(checkpoint), code, path, "cut off at " + std::to_string(size));
  }
  WriteBytes(path, bytes.substr(0, bytes.size() - 1));
  ExpectError(Verify(checkpoint), code, path, "one byte short");
  WriteBytes(path, bytes);
  EXPECT_TRUE(Verify(checkpoint).ok());
}

TEST(CheckpointVerificationTest, Ours) {
  CheckpointStore store(UnsyncedFileOps(), Folder());
  const auto saved = SaveSample(store, 7, "name: \"x\"\n", "0123");
  ASSERT_TRUE(saved.ok()) << saved.status();
  const auto said = VerifyCheckpoint(saved->folder, nullptr);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "step 7, 9 tensors, 128 B, values that are not finite in 1 tensor");
  for (const auto& entry : fs::directory_iterator(saved->folder)) {
    const std::string path = entry.path().string();
    ForEachFlip(path, 0, fs::file_size(path), [&](size_t at, int) {
      ExpectError(Verify(saved->folder), ExitCode::kStorage, path, path + " at " + std::to_string(at));
    });
    ExpectTruncationsAreFound(saved->folder, path, ExitCode::kStorage);
  }
  const std::string weights = saved->folder + "/model.safetensors";
  std::string bytes = ReadBytes(weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteBytes(weights, bytes);
  EXPECT_NE(std::string(Verify(saved->folder).message()).find("scale"), std::string::npos) << Verify(saved->folder);
}

TEST(CheckpointVerificationTest, Torch) {
  const std::string path = Folder() + "/weights.ckpt";
  ASSERT_TRUE(WriteTorchSample(path, 7).ok());
  ASSERT_TRUE(HoldsTheSample(path));
  const auto said = VerifyCheckpoint(path, nullptr);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_NE(said->find("8 tensors, 120 B"), std::string::npos) << *said;
  // Dates, padding and the like may be anything; nothing else may.
  int found = 0, harmless = 0;
  ForEachFlip(path, 0, fs::file_size(path), [&](size_t at, int mask) {
    const absl::Status status = Verify(path);
    if (status.ok()) {
      EXPECT_TRUE(HoldsTheSample(path)) << "byte " << at << " ^ " << mask;
      ++harmless;
      return;
    }
    ++found;
    ExpectError(status, ExitCode::kData, path, std::to_string(at));
  });
  EXPECT_GT(found, harmless / 4);
  ExpectTruncationsAreFound(path, path, ExitCode::kData);
  // Of the data of a tensor, each byte by the tensor's name.
  const std::string bytes = ReadBytes(path);
  const double scale = 0.25;
  const size_t data = bytes.rfind(std::string(reinterpret_cast<const char*>(&scale), sizeof(scale)));
  ASSERT_NE(data, std::string::npos);
  ForEachFlip(path, data, data + sizeof(scale),
              [&](size_t at, int) { ExpectError(Verify(path), ExitCode::kData, "scale", std::to_string(at)); });
}

TEST(CheckpointVerificationTest, Safetensors) {
  const std::string path = Folder() + "/weights.safetensors";
  ASSERT_TRUE(WriteSafetensorsSample(path, 7).ok());
  const auto said = VerifyCheckpoint(path, nullptr);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_NE(said->find("safetensors has no checksums: only the structure could be checked"), std::string::npos);
  uint64_t header = 0;
  std::memcpy(&header, ReadBytes(path).data(), sizeof(header));
  // One bit can make another name, which nobody can tell; all bits of a byte make it no text.
  ForEachFlip(path, 0, 8 + header, [&](size_t at, int mask) {
    if (mask == 0xff || at < 8) {
      ExpectError(Verify(path), ExitCode::kData, path, std::to_string(at) + " ^ " + std::to_string(mask));
    }
  });
  ExpectTruncationsAreFound(path, path, ExitCode::kData);
  // What has no checksum is not found.
  ForEachFlip(path, 8 + header, 8 + header + 4, [&](size_t at, int) { EXPECT_TRUE(Verify(path).ok()) << at; });
}

TEST(CheckpointVerificationTest, GoesOnAfterDamage) {
  const std::string folder = Folder();
  CheckpointStore store(UnsyncedFileOps(), folder + "/run/checkpoints", {100, 0});
  fs::create_directories(store.folder());
  for (const int step : {3, 5, 7}) ASSERT_TRUE(SaveSample(store, step, "", "").ok());
  ASSERT_TRUE(WriteTorchSample(folder + "/cut.ckpt", 7).ok());
  fs::resize_file(folder + "/cut.ckpt", 100);
  fs::remove(store.FolderOf(5) + "/MANIFEST");
  fs::create_directories(store.FolderOf(9) + ".tmp-1");
  std::vector<std::string> lines;
  const auto say = [&lines](const std::string& line) { lines.push_back(line); };
  const absl::Status status =
      VerifyCheckpoints({folder + "/cut.ckpt", folder + "/run", folder + "/run:7", folder + "/none"}, nullptr, say);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_EQ(status.message(), "3 of 6 could not be verified; see above");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0].find("BAD  " + folder + "/cut.ckpt"), 0u) << lines[0];
  EXPECT_EQ(lines[1].find("ok  " + store.FolderOf(3) + "  step 3, 9 tensors"), 0u) << lines[1];
  EXPECT_EQ(lines[2].find("BAD  " + store.FolderOf(5) + ": has no MANIFEST"), 0u) << lines[2];
  EXPECT_EQ(lines[3].find("ok  " + store.FolderOf(7)), 0u) << lines[3];
  EXPECT_EQ(lines[4].find("ok  " + store.FolderOf(7)), 0u) << lines[4];
  EXPECT_EQ(lines[5].find("BAD  " + folder + "/none"), 0u) << lines[5];
}

}  // namespace
}  // namespace cubist
