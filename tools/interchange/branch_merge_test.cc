#include "tools/interchange/branch_merge.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "base/status.h"
#include "configs/loader.h"
#include "nlohmann/json.hpp"
#include "tools/interchange/conversion.h"
#include "tools/interchange/test_checkpoints.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class BranchMergeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  static std::string Bytes(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }
  void Write(const AnyCheckpoint& checkpoint, const std::string& name) {
    const auto report = ConvertCheckpoint(SystemFileOps(), checkpoint, folder_ + "/" + name, {}, nullptr);
    ASSERT_TRUE(report.ok()) << report.status();
  }
  Merge Options(const std::string& output) {
    Merge options;
    options.set_branch_3d(folder_ + "/voxel");
    options.set_branch_2d(folder_ + "/pixel.ckpt");
    options.set_output(folder_ + "/" + output);
    return options;
  }
  std::string folder_;
};

std::map<std::string, std::string> Union(const AnyCheckpoint& low, const AnyCheckpoint& high) {
  std::map<std::string, std::string> both = ContentOf(high);
  const std::map<std::string, std::string> below = ContentOf(low);
  both.insert(below.begin(), below.end());
  return both;
}

TEST_F(BranchMergeTest, UnionOfBothAsOursAndAsTheReferences) {
  const auto voxel = TestBranch("voxel"), pixel = TestBranch("pixel");
  Write(*voxel, "voxel");
  Write(*pixel, "pixel.ckpt");
  const auto report = RunMerge(SystemFileOps(), Options("dual"), nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  for (const char* name : {"/dual.ckpt", "/dual/checkpoints/step-000000000"}) {
    const auto merged = AnyCheckpoint::Open(folder_ + name);
    ASSERT_TRUE(merged.ok()) << merged.status();
    EXPECT_EQ(ContentOf(**merged), Union(*voxel, *pixel)) << name;
    for (size_t i = 1; i < (*merged)->tensors().size(); ++i) {
      EXPECT_LT((*merged)->tensors()[i - 1].name, (*merged)->tensors()[i].name);
    }
  }
  const auto ours = AnyCheckpoint::Open(folder_ + "/dual/checkpoints/step-000000000");
  ASSERT_EQ((*ours)->description().parents.size(), 2u);
  EXPECT_EQ((*ours)->description().parents[0].role(), "branch_3d");
  EXPECT_EQ((*ours)->description().parents[0].step(), 100);
  EXPECT_EQ((*ours)->description().parents[1].role(), "branch_2d");
  const nlohmann::json json = nlohmann::json::parse(Bytes(folder_ + "/dual/merge_report.json"));
  EXPECT_EQ(json["tensors"].size(), 10u);
  EXPECT_EQ(json["tensors"][0]["from"], "branch_2d");
}

// Made from the branches' recipes it is the dual-branch recipe, but for its name and a loss that only training reads.
TEST_F(BranchMergeTest, ConfigIsTheDualBranchRecipe) {
  Write(*TestBranch("voxel"), "voxel");
  Write(*TestBranch("pixel"), "pixel.ckpt");
  ASSERT_TRUE(RunMerge(SystemFileOps(), Options("dual"), nullptr).ok());
  const std::string recipe = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                             "/configs/recipes/gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator.textproto";
  const auto wanted = LoadExperiment(recipe, {"name=dual", "gaussian_reconstruction.loss.depth_weight=8"});
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  EXPECT_EQ(Bytes(folder_ + "/dual/config.textproto"), wanted->CanonicalText());
}

TEST_F(BranchMergeTest, EqualInputsGiveEqualBytes) {
  Write(*TestBranch("voxel"), "voxel");
  Write(*TestBranch("pixel"), "pixel.ckpt");
  ASSERT_TRUE(RunMerge(SystemFileOps(), Options("dual"), nullptr).ok());
  fs::rename(folder_ + "/dual", folder_ + "/first");
  fs::rename(folder_ + "/dual.ckpt", folder_ + "/first.ckpt");
  ASSERT_TRUE(RunMerge(SystemFileOps(), Options("dual"), nullptr).ok());
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/first")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(Bytes(entry.path()), Bytes(folder_ + "/dual/" + fs::relative(entry.path(), folder_ + "/first").string()))
        << entry.path();
  }
  EXPECT_EQ(files, 7);
  EXPECT_EQ(Bytes(folder_ + "/first.ckpt"), Bytes(folder_ + "/dual.ckpt"));
}

TEST_F(BranchMergeTest, Conflicts) {
  const auto voxel = TestBranch("voxel"), pixel = TestBranch("pixel");
  // The same in both, different values, and another shape.
  for (MemoryCheckpoint* branch : {voxel.get(), pixel.get()}) {
    const float value = branch == voxel.get() ? 3 : 2;
    branch->Add("model", "skybox.same", HostTensor::Of<float>({1, 2}, {2}));
    branch->Add("model", "skybox.values", HostTensor::Of<float>({1, value}, {2}));
    branch->Add("model", "skybox.shape", HostTensor::Of<float>({1, 1}, {2, branch == voxel.get() ? 1 : 1}));
  }
  voxel->Add("model", "skybox.extent", HostTensor::Of<float>({1, 1}, {2, 1}));
  pixel->Add("model", "skybox.extent", HostTensor::Of<float>({1, 1}, {2}));
  Merge options;
  options.set_output("dual");
  MergeReport report;
  const auto refused = MergeBranches(*voxel, *pixel, options, &report);
  EXPECT_EQ(ExitCodeOf(refused.status()), ExitCode::kData);
  const std::string message(refused.status().message());
  EXPECT_TRUE(absl::StrContains(message, "2 tensors are in both")) << message;
  EXPECT_TRUE(absl::StrContains(message, "skybox.extent (float32[2,1] and float32[2])")) << message;
  EXPECT_FALSE(absl::StrContains(message, "skybox.same")) << message;

  for (const auto& [policy, low, high] : {std::tuple(Merge::PREFER_2D, voxel.get(), pixel.get()),
                                          std::tuple(Merge::PREFER_3D, pixel.get(), voxel.get())}) {
    options.set_on_conflict(policy);
    report = MergeReport();
    const auto draft = MergeBranches(*voxel, *pixel, options, &report);
    ASSERT_TRUE(draft.ok()) << draft.status();
    std::map<std::string, std::string> content, wanted = Union(*low, *high);
    for (const DraftTensor& tensor : draft->tensors) {
      content["model/" + tensor.tensor.name] = ContentOf(*tensor.source).at("model/" + tensor.tensor.name);
    }
    EXPECT_EQ(content, wanted);
    const std::string winner = policy == Merge::PREFER_2D ? "branch_2d" : "branch_3d";
    for (const MergeReport::Tensor& tensor : report.tensors) {
      if (tensor.tensor.name == "skybox.same") {
        EXPECT_EQ(tensor.from, "both");
      }
      if (tensor.tensor.name == "skybox.values") {
        EXPECT_EQ(tensor.from, winner);
      }
      EXPECT_EQ(tensor.conflict, tensor.tensor.name == "skybox.values" || tensor.tensor.name == "skybox.extent");
    }
  }
}

TEST_F(BranchMergeTest, WrongInputsAreNamed) {
  const auto voxel = TestBranch("voxel"), pixel = TestBranch("pixel");
  Merge options;
  MergeReport report;
  const auto message = [&](const AnyCheckpoint& a, const AnyCheckpoint& b) {
    return std::string(MergeBranches(a, b, options, &report).status().message());
  };
  EXPECT_TRUE(absl::StrContains(message(*pixel, *voxel), "swapped")) << message(*pixel, *voxel);
  EXPECT_TRUE(absl::StrContains(message(*voxel, *TestVae()), "backbone.backbone_2d.")) << message(*voxel, *TestVae());

  Write(*voxel, "voxel");
  Write(*pixel, "pixel.ckpt");
  const auto run = [&](const Merge& with) { return ExitCodeOf(RunMerge(SystemFileOps(), with, nullptr).status()); };
  Merge incomplete = Options("dual");
  incomplete.clear_output();
  EXPECT_EQ(run(incomplete), ExitCode::kConfig);
  Merge gone = Options("dual");
  gone.set_branch_3d(folder_ + "/nowhere");
  EXPECT_EQ(run(gone), ExitCode::kConfig);
  Merge into_input = Options("pixel.ckpt");
  into_input.set_overwrite(true);
  EXPECT_EQ(run(into_input), ExitCode::kConfig);
  fs::create_directory(folder_ + "/taken");
  EXPECT_EQ(run(Options("taken")), ExitCode::kConfig);
  EXPECT_FALSE(fs::exists(folder_ + "/taken.ckpt"));
}

TEST_F(BranchMergeTest, UnusedWeightsCanBeLeftOut) {
  Merge options;
  options.set_drop_unused(true);
  options.set_output("dual");
  MergeReport report;
  const auto draft = MergeBranches(*TestBranch("voxel"), *TestBranch("pixel"), options, &report);
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_EQ(report.dropped, (std::vector<std::string>{"skybox.skybox_net.2.weight"}));
  EXPECT_EQ(draft->tensors.size(), 9u);
}

}  // namespace
}  // namespace cubist
