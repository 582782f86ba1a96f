#include "tools/training/launch/start_reference.h"

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/wandb/core_process.h"
#include "tools/wandb/testing/loopback_server.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kReference[] = "wdb:team/roads/1a2b3c4d";

class StartReferenceTest : public testing::Test {
 protected:
  StartReferenceTest()
      : folder_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())),
        run_(folder_ + "/runs/new"),
        server_(folder_ + "/server"),
        wandb_core_(FindWandbCore("", CurrentEnvironment())) {
    fs::create_directories(folder_);
    ::setenv("BUILD_WORKING_DIRECTORY", folder_.c_str(), 1);
    ::setenv("TMPDIR", "/tmp", 1);
    ::setenv("XDG_CACHE_HOME", (folder_ + "/cache").c_str(), 1);
    ::setenv("WANDB_BASE_URL", server_.Credentials().base_url.c_str(), 1);
    ::setenv("WANDB_API_KEY", server_.Credentials().api_key.c_str(), 1);
    json files;
    for (const auto& file : fs::directory_iterator(Save(folder_ + "/elsewhere"))) {
      files[file.path().filename()] = file.path().string();
    }
    server_.Seed({{"artifacts",
                   {{{"collection", {"team", "roads", "model-1a2b3c4d"}}, {"aliases", {"last"}}, {"files", files}}}}});
  }

  static std::string Save(const std::string& run) {
    CheckpointStore store(SystemFileOps(), run + "/checkpoints");
    CheckpointContents contents;
    contents.state.set_step(1);
    const auto saved = store.Save(contents);
    EXPECT_TRUE(saved.ok()) << saved.status();
    return saved->folder;
  }

  const std::string folder_, run_;
  LoopbackServer server_;
  const absl::StatusOr<std::string> wandb_core_;
  TrainFlags flags_;
};

TEST_F(StartReferenceTest, ANewRunGetsAPath) {
  flags_.init_from = kReference;
  ASSERT_TRUE(FetchStartReferences(run_, wandb_core_, &flags_).ok());
  EXPECT_THAT(flags_.init_from, StartsWith(folder_ + "/cache/cubist/wandb/team/roads/1a2b3c4d/"));
  EXPECT_TRUE(Checkpoint::Open(flags_.init_from).ok());
  EXPECT_EQ(flags_.resume_from, "");
  flags_ = {};
  flags_.resume_from = kReference;
  ASSERT_TRUE(FetchStartReferences(run_, wandb_core_, &flags_).ok());
  EXPECT_THAT(flags_.resume_from, StartsWith(folder_ + "/cache/"));
  EXPECT_FALSE(fs::exists(run_));
}

TEST_F(StartReferenceTest, ARunWithCheckpointsAsksNobody) {
  Save(run_);
  server_.Kill();
  flags_.init_from = kReference;
  EXPECT_TRUE(FetchStartReferences(run_, ConfigError("no wandb-core"), &flags_).ok());
  EXPECT_EQ(flags_.init_from, kReference);
}

TEST_F(StartReferenceTest, AReplayMayBeginBeforeTheFirstOfThem) {
  Save(run_);
  flags_.init_from = kReference;
  flags_.replay_step = 1;
  ASSERT_TRUE(FetchStartReferences(run_, wandb_core_, &flags_).ok());
  EXPECT_THAT(flags_.init_from, StartsWith(folder_ + "/cache/"));
}

TEST_F(StartReferenceTest, OtherNamesStay) {
  flags_.init_from = "runs/other:best";
  EXPECT_TRUE(FetchStartReferences(run_, ConfigError("no wandb-core"), &flags_).ok());
  EXPECT_EQ(flags_.init_from, "runs/other:best");
}

TEST_F(StartReferenceTest, WhereNobodyCanTellItIsAnError) {
  flags_.resume_from = kReference;
  server_.SetFaults("* 403");
  absl::Status status = FetchStartReferences(run_, wandb_core_, &flags_);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()), StartsWith("--resume_from: "));
  server_.SetFaults("");
  flags_.resume_from = "wdb:team/roads/1a2b3c4d:best";
  status = FetchStartReferences(run_, wandb_core_, &flags_);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_EQ(flags_.resume_from, "wdb:team/roads/1a2b3c4d:best");
  // A folder of checkpoints that cannot be read may hold some.
  fs::create_directories(fs::path(run_));
  fs::create_symlink("checkpoints", run_ + "/checkpoints");
  status = FetchStartReferences(run_, wandb_core_, &flags_);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
}

}  // namespace
}  // namespace cubist
