#include "tools/wandb/run_identity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/status.h"

namespace cubist {
namespace {

class RunIdentityTest : public testing::Test {
 protected:
  RunIdentityTest() : folder_(std::string(std::getenv("TEST_TMPDIR")) + "/run") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void Write(const std::string& text) { std::ofstream(folder_ + "/wandb_run.json") << text; }

  const std::string folder_;
};

TEST_F(RunIdentityTest, IsReadBack) {
  ASSERT_TRUE(WriteRunIdentity(SystemFileOps(), folder_, {"team", "worlds", "1a2b3c4d", "waymo/\"small\""}).ok());
  const auto identity = ReadRunIdentity(folder_);
  ASSERT_TRUE(identity.ok()) << identity.status();
  ASSERT_TRUE(identity->has_value());
  EXPECT_EQ((*identity)->entity, "team");
  EXPECT_EQ((*identity)->project, "worlds");
  EXPECT_EQ((*identity)->id, "1a2b3c4d");
  EXPECT_EQ((*identity)->name, "waymo/\"small\"");
}

TEST_F(RunIdentityTest, NothingWithoutAFile) {
  const auto identity = ReadRunIdentity(folder_);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_FALSE(identity->has_value());
}

TEST_F(RunIdentityTest, WhatIsNoIdentityIsAnError) {
  for (const char* text : {"", "{", "[]", R"({"entity": "e", "project": "p", "name": "n"})",
                           R"({"entity": "e", "project": "p", "name": "n", "id": ""})",
                           R"({"entity": "e", "project": "p", "name": "n", "id": 7})"}) {
    Write(text);
    const auto identity = ReadRunIdentity(folder_);
    ASSERT_FALSE(identity.ok()) << text;
    EXPECT_EQ(ExitCodeOf(identity.status()), ExitCode::kData) << text;
  }
}

}  // namespace
}  // namespace cubist
