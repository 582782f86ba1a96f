// A training on a GPU that was stopped and goes on is the one that was not, bit for bit, under
// training.deterministic: 20 steps of tiny.textproto in BF16.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "base/status.h"
#include "configs/loader.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/run_preparation.h"
#include "tools/training/loop/run.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// Beside this program where it was packed, else among what Bazel gives a test.
std::string ConfigPath() {
  const std::string packed = fs::read_symlink("/proc/self/exe").parent_path().string() + "/resume.textproto";
  if (fs::exists(packed)) return packed;
  return std::string(std::getenv("TEST_SRCDIR")) + "/cubist/tests/gpu/resume.textproto";
}

class ResumeCudaTest : public testing::Test {
 protected:
  ResumeCudaTest() : folder_(testing::TempDir() + "/resume_cuda_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ResumeCudaTest() override { fs::remove_all(folder_); }

  // Trains the run in this folder up to a step, from where it stands.
  void Train(const std::string& run, int steps) const {
    const absl::StatusOr<ValidatedExperiment> experiment = LoadExperiment(
        ConfigPath(), {"data.data_root=\"" + folder_ + "/data\"", "data.synthesize.clips=4", "training.precision=BF16",
                       "training.deterministic=true", "training.max_steps=" + std::to_string(steps),
                       "checkpoints.interval_steps=0", "validation.interval_steps=7"});
    ASSERT_TRUE(experiment.ok()) << experiment.status();
    const absl::Status data = PrepareData(SystemFileOps(), *experiment, nullptr);
    ASSERT_TRUE(data.ok()) << data;
    const auto prepared = PrepareRunFolder(SystemFileOps(), folder_ + "/" + run, RankPlan());
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    RunOptions options;
    options.run_directory = folder_ + "/" + run;
    options.device = "cuda";
    options.stop_requested = [] { return false; };
    const absl::Status status = RunTraining(*experiment, options, *MakeSingleProcessCommunicator());
    ASSERT_TRUE(status.ok()) << status;
  }

  // Empty if there is none.
  std::string File(const std::string& run, const std::string& name) const {
    return ReadWholeFile(folder_ + "/" + run + "/checkpoints/step-000000020/" + name).value_or("");
  }

  const std::string folder_;
};

TEST_F(ResumeCudaTest, TwentyStepsInOneAndInTwoParts) {
  Train("whole", 20);
  Train("parts", 11);
  Train("parts", 20);
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "ema.safetensors"}) {
    const std::string whole = File("whole", name);
    EXPECT_GT(whole.size(), 1000u);
    EXPECT_TRUE(whole == File("parts", name)) << name;
  }
}

}  // namespace
}  // namespace cubist
