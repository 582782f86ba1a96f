#include "tools/training/checkpoint/run_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/status.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    fs::create_directory(root_);
  }
  std::string root_;
};

TEST_F(RunFolderTest, AFreshRunTakesTheNextNumberAndLaterStartsGoOnWithIt) {
  const std::string base = root_ + "/runs/vae";
  EXPECT_EQ(*ChooseRunFolder(base, false), base);
  EXPECT_EQ(*ChooseRunFolder(base, true), base);
  fs::create_directories(base);
  EXPECT_EQ(*ChooseRunFolder(base, false), base);
  EXPECT_EQ(*ChooseRunFolder(base + "/", true), base + "-2");
  // Names that are no numbered run of this one.
  for (const char* other : {"-02", "-1", "-0", "-x", "-", "s-7", "-2x", "-99999999999999999999"}) {
    fs::create_directories(base + other);
  }
  EXPECT_EQ(*ChooseRunFolder(base, true), base + "-2");
  fs::create_directories(base + "-2");
  EXPECT_EQ(*ChooseRunFolder(base, false), base + "-2");
  fs::create_directories(base + "-10");
  EXPECT_EQ(*ChooseRunFolder(base, false), base + "-10");
  EXPECT_EQ(*ChooseRunFolder(base, true), base + "-11");
}

TEST_F(RunFolderTest, RelativeFoldersAndBadOnes) {
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  fs::create_directories("vae");
  EXPECT_EQ(*ChooseRunFolder("vae", true), "vae-2");
  fs::current_path(before);
  EXPECT_EQ(ExitCodeOf(ChooseRunFolder("", false).status()), ExitCode::kConfig);
  EXPECT_EQ(ExitCodeOf(ChooseRunFolder("/", false).status()), ExitCode::kConfig);
}

TEST_F(RunFolderTest, NamesStayInTheirFolder) {
  EXPECT_EQ(*RunFolderFor("runs", "waymo vae, 64x"), "runs/waymo vae, 64x");
  for (const std::string& name :
       {std::string(), std::string(".."), std::string("."), std::string("a/b"), std::string(".hidden"),
        std::string("a\nb"), std::string("a\0b", 3), std::string(300, 'a')}) {
    EXPECT_EQ(ExitCodeOf(RunFolderFor("runs", name).status()), ExitCode::kConfig) << name;
  }
}

TEST_F(RunFolderTest, CreateMakesTheLayoutAndKeepsWhatIsThere) {
  const std::string path = root_ + "/runs/vae";
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<RunFolder> folder = RunFolder::Create(SystemFileOps(), path + "/");
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_EQ(folder->path(), path);
    for (const char* name : {"events", "pictures", "logs", "checkpoints"}) {
      EXPECT_TRUE(fs::is_directory(path + "/" + name)) << name;
    }
    if (i == 1) {
      EXPECT_EQ(*ReadWholeFile(folder->config_path()), "seed: 1\n");
    }
    ASSERT_TRUE(folder->WriteConfig(SystemFileOps(), "seed: 1\n").ok());
    EXPECT_EQ(*ReadWholeFile(path + "/config.textproto"), "seed: 1\n");
    EXPECT_EQ(folder->metrics_path(), path + "/metrics.jsonl");
    EXPECT_EQ(folder->ledger_path(), path + "/ledger.jsonl");
  }
}

TEST_F(RunFolderTest, AFileInTheWayIsNamed) {
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), root_ + "/runs", "x").ok());
  const absl::Status status = RunFolder::Create(SystemFileOps(), root_ + "/runs/vae").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_NE(std::string(status.message()).find(root_ + "/runs"), std::string::npos) << status;
}

}  // namespace
}  // namespace cubist
