#include "tools/training/rehearsal/rehearsal_folders.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/status.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class RehearsalFoldersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root_ + "/tmp");
    ASSERT_EQ(setenv("TMPDIR", (root_ + "/tmp").c_str(), 1), 0);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::unique_ptr<RehearsalFolders> Make(const std::string& run_folder) {
    auto folders = RehearsalFolders::Make(SystemFileOps(), run_folder);
    EXPECT_TRUE(folders.ok()) << folders.status();
    return *std::move(folders);
  }
  // Files and folders below the root.
  int Entries() const {
    return static_cast<int>(std::distance(fs::recursive_directory_iterator(root_), fs::recursive_directory_iterator()));
  }
  static void Write(const std::string& path) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << "x";
    ASSERT_TRUE(fs::exists(path));
  }

  const std::string root_ = ::testing::TempDir() + "/folders-" + std::to_string(::getpid());
};

TEST_F(RehearsalFoldersTest, NothingStays) {
  auto folders = Make(root_ + "/a/runs/tiny/");
  EXPECT_EQ(folders->beside_run(), root_ + "/a/runs/.preflight-" + std::to_string(::getpid()));
  EXPECT_EQ(fs::path(folders->temporary()).parent_path(), root_ + "/tmp");
  Write(folders->temporary() + "/data/pose/a.tar");
  Write(folders->beside_run() + "/step-000000001/MANIFEST");
  folders.reset();
  EXPECT_EQ(Entries(), 1) << "tmp alone";
}

TEST_F(RehearsalFoldersTest, WhatWasThereStays) {
  Write(root_ + "/runs/tiny/checkpoints/step-000000001/MANIFEST");
  const int before = Entries();
  auto folders = Make(root_ + "/runs/tiny");
  Write(folders->beside_run() + "/step-000000001/MANIFEST");
  folders.reset();
  EXPECT_EQ(Entries(), before);
}

TEST_F(RehearsalFoldersTest, WhatOthersMadeMeanwhileStays) {
  auto folders = Make(root_ + "/a/runs/tiny");
  Write(folders->beside_run() + "/x");
  Write(root_ + "/a/other");
  folders.reset();
  EXPECT_TRUE(fs::exists(root_ + "/a/other"));
  EXPECT_FALSE(fs::exists(root_ + "/a/runs"));
}

TEST_F(RehearsalFoldersTest, BesideAFolderWithoutParent) {
  EXPECT_EQ(Make("tiny")->beside_run(), "./.preflight-" + std::to_string(::getpid()));
}

TEST_F(RehearsalFoldersTest, NoPlaceForTemporaries) {
  ASSERT_EQ(setenv("TMPDIR", (root_ + "/nowhere").c_str(), 1), 0);
  const absl::Status status = RehearsalFolders::Make(SystemFileOps(), "run").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(status.message().find("TMPDIR"), std::string::npos) << status;
}

}  // namespace
}  // namespace cubist
