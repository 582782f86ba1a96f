#include "tools/training/rehearsal/archive_trial.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/tar.h"
#include "data_process/scenes/clip_index.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// Forty clips of one attribute, which hold one JSON member each.
class ArchiveTrialTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ + "/boxes");
    data_.set_data_root(root_);
    data_.add_attributes("boxes");
    data_.set_validation_fraction(0.25);
    for (int i = 0; i < 40; ++i) Write(i, "{\"a\": 1}");
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string Path(int clip) const { return root_ + "/boxes/clip-" + std::to_string(100 + clip) + ".tar"; }
  void Write(int clip, const std::string& json) const {
    auto tar = TarWriter::Create(SystemFileOps(), Path(clip));
    ASSERT_TRUE(tar.ok()) << tar.status();
    ASSERT_TRUE((*tar)->Add("clip-" + std::to_string(100 + clip) + ".a.json", json).ok());
    ASSERT_TRUE((*tar)->Finish().ok());
  }
  absl::StatusOr<CheckOutcome> Try() const {
    const auto clips = ClipIndex::Open(data_);
    if (!clips.ok()) return clips.status();
    return TryArchives(*clips, data_, 3, [this] { return stop_; });
  }

  const std::string root_ = ::testing::TempDir() + "archives-" + std::to_string(::getpid());
  Data data_;
  bool stop_ = false;
};

TEST_F(ArchiveTrialTest, AllGood) {
  const auto outcome = Try();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->verdict, Verdict::kOk);
  EXPECT_NE(outcome->text.find("all 40 open, with 40 members of 320 B"), std::string::npos) << outcome->text;
  EXPECT_NE(outcome->text.find("40 of 40 were decoded"), std::string::npos) << outcome->text;
}

TEST_F(ArchiveTrialTest, NamesTheDamagedOnesUpToTwenty) {
  for (int i = 0; i < 30; i += 10) Write(i, "{\"a\": ");
  absl::Status status = Try().status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_NE(status.message().find("3 of 40 archives are damaged"), std::string::npos) << status;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(status.message().find(Path(i)) != std::string::npos, i < 30 && i % 10 == 0) << i << status;
  }
  for (int i = 0; i < 25; ++i) fs::resize_file(Path(i), 100);
  status = Try().status();
  EXPECT_NE(status.message().find("25 of 40 archives are damaged"), std::string::npos) << status;
  EXPECT_NE(status.message().find("and 5 more"), std::string::npos) << status;
}

TEST_F(ArchiveTrialTest, WhatARunWouldSkip) {
  for (int i = 0; i < 4; ++i) fs::resize_file(Path(i), 100);
  data_.mutable_bad_samples()->set_policy(BadSamples::SKIP);
  data_.mutable_bad_samples()->set_max_rate(0.1);
  const auto outcome = Try();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->verdict, Verdict::kWarning);
  EXPECT_NE(outcome->text.find("4 of 40"), std::string::npos) << outcome->text;
  data_.mutable_bad_samples()->set_max_rate(0.09);
  EXPECT_NE(Try().status().message().find("a data.bad_samples.max_rate above 0.1"), std::string::npos)
      << Try().status();
}

TEST_F(ArchiveTrialTest, Stopped) {
  stop_ = true;
  EXPECT_EQ(ExitCodeOf(Try().status()), ExitCode::kPreempted);
}

}  // namespace
}  // namespace cubist
