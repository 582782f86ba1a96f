#include "tools/interchange/checkpoint_reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/wandb/run_identity.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class CheckpointReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    here_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    here_ = fs::path(here_).lexically_normal().string();
    fs::remove_all(here_);
    fs::create_directories(here_);
    ::setenv("BUILD_WORKING_DIRECTORY", here_.c_str(), 1);
  }
  void Save(const std::string& run, int64_t step, int64_t best = -1) {
    CheckpointStore store(SystemFileOps(), here_ + "/" + run + "/checkpoints", {100, 0});
    CheckpointContents contents;
    contents.state.set_step(step);
    if (best >= 0) (*contents.state.mutable_best_steps())["val_loss"] = best;
    ASSERT_TRUE(store.Save(contents).ok());
  }
  void Touch(const std::string& path) {
    fs::create_directories(fs::path(here_ + "/" + path).parent_path());
    std::ofstream(here_ + "/" + path) << "x";
  }
  // From here.
  std::string Resolve(const std::string& reference) {
    const auto path = ResolveCheckpoint(reference);
    if (path.ok()) return path->substr(here_.size() + 1);
    EXPECT_EQ(ExitCodeOf(path.status()), ExitCode::kConfig) << path.status();
    return "error: " + std::string(path.status().message());
  }
  std::string here_;
};

#define EXPECT_ERROR(reference, part)                                                                         \
  EXPECT_TRUE(absl::StartsWith(Resolve(reference), "error: ") && absl::StrContains(Resolve(reference), part)) \
      << Resolve(reference)

TEST_F(CheckpointReferenceTest, RunsOfOurs) {
  Save("runs/a", 10);
  Save("runs/a", 20, 10);
  Save("runs/b:c", 5);
  const std::string checkpoints = "runs/a/checkpoints/";
  EXPECT_EQ(Resolve("runs/a"), checkpoints + "step-000000020");
  EXPECT_EQ(Resolve("runs/a/"), checkpoints + "step-000000020");
  EXPECT_EQ(Resolve("runs/a:last"), checkpoints + "step-000000020");
  EXPECT_EQ(Resolve("runs/a:best"), checkpoints + "step-000000010");
  EXPECT_EQ(Resolve("runs/a:10"), checkpoints + "step-000000010");
  EXPECT_EQ(Resolve(here_ + "/runs/a"), checkpoints + "step-000000020");
  EXPECT_EQ(Resolve(checkpoints + "step-000000010"), checkpoints + "step-000000010");
  EXPECT_EQ(Resolve("runs/b:c"), "runs/b:c/checkpoints/step-000000005");
  EXPECT_EQ(Resolve("wdb:somebody/project/a"), checkpoints + "step-000000020");
  EXPECT_EQ(Resolve("wdb:project/a:10"), checkpoints + "step-000000010");
  EXPECT_ERROR("runs/a:15", "it has those of: 10, 20");
  EXPECT_ERROR("runs/a:first", "last, last_auto, best or a step");
  EXPECT_ERROR("runs/b:c:best", "has not been validated");
  fs::create_directories(here_ + "/runs/empty/checkpoints");
  EXPECT_ERROR("runs/empty", "no checkpoint yet");
  EXPECT_ERROR("runs/gone", "no such run");
  EXPECT_ERROR("", "empty");
}

// By what the trainer wrote into the run's folder.
TEST_F(CheckpointReferenceTest, RunsThatSayWhatTheyAre) {
  const auto identify = [&](const std::string& run, const WandbRunIdentity& identity) {
    Save(run, 10);
    ASSERT_TRUE(WriteRunIdentity(SystemFileOps(), here_ + "/" + run, identity).ok());
  };
  identify("runs/first", {"team", "roads", "1a2b3c4d", "waymo/small"});
  identify("runs/second", {"", "roads", "5e6f7a8b", "large"});
  identify("runs/third", {"team", "roads", "9c0d1e2f", "large"});
  identify("runs/fourth", {"others", "streets", "aaaaaaaa", "5e6f7a8b"});
  identify("runs/fifth", {"team", "roads", "bbbbbbbb", "1a2b3c4d"});  // shown by what is another run's id
  const std::string step = "/checkpoints/step-000000010";
  EXPECT_EQ(Resolve("wdb:team/roads/1a2b3c4d"), "runs/first" + step);
  EXPECT_EQ(Resolve("wdb:roads/1a2b3c4d:10"), "runs/first" + step);
  EXPECT_EQ(Resolve("wdb:team/roads/waymo/small"), "runs/first" + step);
  EXPECT_EQ(Resolve("wdb:roads/waymo/small:last_auto"), "runs/first" + step);
  // This one has not been told whose it is.
  EXPECT_EQ(Resolve("wdb:anybody/roads/5e6f7a8b"), "runs/second" + step);
  EXPECT_EQ(Resolve("wdb:streets/5e6f7a8b"), "runs/fourth" + step);
  EXPECT_ERROR("wdb:roads/large", "several runs here have this name");
  EXPECT_ERROR("wdb:roads/large", "runs/second (id 5e6f7a8b)");
  EXPECT_ERROR("wdb:roads/large", "runs/third (id 9c0d1e2f)");
  EXPECT_EQ(Resolve("wdb:others/roads/large"), "runs/second" + step);  // which may be others'
  EXPECT_ERROR("wdb:others/roads/1a2b3c4d", "no such run here");
  EXPECT_ERROR("wdb:streets/1a2b3c4d", "no such run here");
  // Its folder's name is no name of a run that says to be another one.
  EXPECT_ERROR("wdb:roads/first", "no such run here");
  EXPECT_ERROR("wdb:roads/1a2b3c4d:7", "has no checkpoint of step 7; it has those of: 10");
  fs::remove_all(here_ + "/runs/first/checkpoints");
  EXPECT_ERROR("wdb:roads/1a2b3c4d", "no checkpoint yet");
  // Which run a damaged one is nobody can tell.
  std::ofstream(here_ + "/runs/third/wandb_run.json") << "{";
  const auto damaged = ResolveCheckpoint("wdb:roads/5e6f7a8b");
  EXPECT_EQ(ExitCodeOf(damaged.status()), ExitCode::kData) << damaged.status();
}

TEST_F(CheckpointReferenceTest, RunsOfTheReference) {
  const std::string folder = "wandb/waymo_wds/1a2b3c4d/checkpoints/";
  Touch(folder + "epoch=000007-step=6250.ckpt");
  Touch(folder + "epoch=8-step=7000.ckpt");
  Touch(folder + "epoch=8-step=7050.ckpt");
  EXPECT_ERROR("wdb:nv/waymo_wds/1a2b3c4d", "no last.ckpt");
  Touch(folder + "last.ckpt");
  EXPECT_EQ(Resolve("wdb:nv/waymo_wds/1a2b3c4d"), folder + "last.ckpt");
  EXPECT_EQ(Resolve("wandb/waymo_wds/1a2b3c4d"), folder + "last.ckpt");
  EXPECT_EQ(Resolve("wandb/waymo_wds/1a2b3c4d:7"), folder + "epoch=000007-step=6250.ckpt");
  EXPECT_EQ(Resolve("wdb:waymo_wds/1a2b3c4d:7"), folder + "epoch=000007-step=6250.ckpt");
  EXPECT_ERROR("wdb:waymo_wds/1a2b3c4d:8", "several files are of epoch 8");
  EXPECT_ERROR("wdb:waymo_wds/1a2b3c4d:9", "has no file of :9");
  EXPECT_ERROR("wdb:waymo_wds/1a2b3c4d:best", "server");
  EXPECT_ERROR("wdb:waymo_wds/1a2b3c4d:epoch", "server");
  EXPECT_ERROR("wdb:waymo_wds/1a2b3c4d:newest", "last, last_auto, best or a step");
  fs::last_write_time(here_ + "/" + folder + "epoch=8-step=7000.ckpt",
                      fs::last_write_time(here_ + "/" + folder + "last.ckpt") + std::chrono::seconds(5));
  EXPECT_EQ(Resolve("wdb:waymo_wds/1a2b3c4d:last_auto"), folder + "epoch=8-step=7000.ckpt");
  EXPECT_ERROR("wdb:nv/waymo_wds/somebody's run", "looked for");
  for (const char* wrong : {"wdb:", "wdb:a", "wdb:a/../b", "wdb:a/b:last:last", "wdb:a//b"}) {
    EXPECT_ERROR(wrong, "is named wdb:ENTITY/PROJECT/RUN");
  }
}

}  // namespace
}  // namespace cubist
