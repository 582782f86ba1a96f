#include "tools/interchange/checkpoint_reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"

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
  EXPECT_ERROR("runs/a:first", "last, best or a step");
  EXPECT_ERROR("runs/b:c:best", "has not been validated");
  fs::create_directories(here_ + "/runs/empty/checkpoints");
  EXPECT_ERROR("runs/empty", "no checkpoint yet");
  EXPECT_ERROR("runs/gone", "no such run");
  EXPECT_ERROR("", "empty");
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
