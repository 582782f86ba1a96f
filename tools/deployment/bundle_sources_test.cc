#include "tools/deployment/bundle_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/status.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

class BundleSourcesTest : public ::testing::Test {
 protected:
  BundleSourcesTest() : folder_((fs::path(::testing::TempDir()) / "sources").string()) {
    fs::remove_all(folder_);
    for (const std::string& program : BundledPrograms()) Write(program);
    for (const char* path :
         {"LICENSE", "LICENSE.wandb", "NOTICE", "configs/quickstart/a.textproto", "configs/recipes/b.textproto"}) {
      Write(path);
    }
  }
  void Write(const std::string& path) {
    const fs::path full = fs::path(folder_ + "/run/cubist") / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full) << path;
    chmod(full.c_str(), 0755);
  }
  absl::StatusOr<BundleSources> Find(const std::vector<std::string>& names) {
    return FindBundleSources(folder_ + "/bin/bundle", "", {{"RUNFILES_DIR", folder_ + "/run"}}, names, false);
  }
  const std::string folder_;
};

TEST_F(BundleSourcesTest, AllProgramsAndFiles) {
  EXPECT_THAT(BundledPrograms(), Contains("tools/train"));
  EXPECT_THAT(BundledPrograms(), Contains("tools/train_worker"));
  EXPECT_THAT(BundledPrograms(), Contains("data_process/inspect"));
  EXPECT_THAT(BundledPrograms(),
              IsSupersetOf({"tools/wandb_sync", "third_party/wandb/wandb-core", "third_party/wandb/wandb-symon"}));
  const auto sources = Find({});
  ASSERT_TRUE(sources.ok()) << sources.status();
  std::vector<std::string> expected;
  for (const std::string& program : BundledPrograms()) expected.push_back(folder_ + "/run/cubist/" + program);
  EXPECT_EQ(sources->programs, expected);
  std::vector<std::string> files;
  for (const auto& file : sources->files) {
    EXPECT_EQ(file.source, folder_ + "/run/cubist/" + file.path);
    files.push_back(file.path);
  }
  EXPECT_EQ(files, (std::vector<std::string>{"LICENSE", "LICENSE.wandb", "NOTICE", "configs/quickstart/a.textproto",
                                             "configs/recipes/b.textproto"}));
}

TEST_F(BundleSourcesTest, SomePrograms) {
  const auto sources = Find({"train_worker", "train"});
  ASSERT_TRUE(sources.ok()) << sources.status();
  EXPECT_EQ(sources->programs, (std::vector<std::string>{folder_ + "/run/cubist/tools/train",
                                                         folder_ + "/run/cubist/tools/train_worker"}));
  const absl::Status unknown = Find({"train", "trian"}).status();
  EXPECT_EQ(ExitCodeOf(unknown), ExitCode::kConfig);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("no program trian to bundle: there are "));
}

TEST_F(BundleSourcesTest, WhatIsNotThereIsNamed) {
  fs::remove(folder_ + "/run/cubist/data_process/inspect");
  EXPECT_EQ(ExitCodeOf(Find({}).status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(Find({}).status().message()), HasSubstr("cannot find the program inspect. "));
  EXPECT_TRUE(Find({"train"}).ok());
  for (const char* path : {"NOTICE", "LICENSE.wandb"}) {
    fs::remove(folder_ + "/run/cubist/" + path);
    EXPECT_EQ(ExitCodeOf(Find({"train"}).status()), ExitCode::kConfig);
    EXPECT_THAT(std::string(Find({"train"}).status().message()), HasSubstr(path));
    Write(path);
  }
}

}  // namespace
}  // namespace cubist
