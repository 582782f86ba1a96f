#include "tools/interchange/torch_checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip_writer.h"
#include "tools/interchange/checkpoint_verification.h"
#include "tools/interchange/conversion.h"

namespace cubist {
namespace {

std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }

// Writes `root` with tensors that count up from `first`, from tensor to tensor by 10.
void Write(const std::string& path, const PythonValue& root, float first = 1) {
  const auto writer = TorchZipWriter::Create(SystemFileOps(), path, root);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const TensorAnnouncement& tensor : (*writer)->tensors()) {
    HostTensor values(DType::kFloat32, tensor.shape);
    for (int64_t i = 0; i < values.size(); ++i) values.data<float>()[i] = first + static_cast<float>(i);
    first += 10;
    ASSERT_TRUE((*writer)->Append(values.Cast(tensor.dtype)).ok());
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

PythonValue Floats(const std::vector<int64_t>& shape) { return PythonValue::Tensor(DType::kFloat32, shape); }

PythonValue Moments(const std::vector<int64_t>& shape) {
  PythonValue moments = PythonValue::Dict();
  moments.Set("step", Floats({}));
  moments.Set("exp_avg", Floats(shape));
  moments.Set("exp_avg_sq", Floats(shape));
  return moments;
}

// What Lightning saves of two parameters, the second with moments, and a score that nothing of ours is made of.
PythonValue Lightning(int groups = 1, int64_t moment_extent = 3) {
  PythonValue state_dict = PythonValue::OrderedDict(), state = PythonValue::Dict(), numbers = PythonValue::List();
  state_dict.Set("a.weight", Floats({2}));
  state_dict.Set("b.weight", Floats({3}));
  state.Set(PythonValue::Int(1), Moments({moment_extent}));
  for (int i = 0; i < 2; ++i) numbers.Append(PythonValue::Int(i));
  PythonValue group = PythonValue::Dict(), optimizer = PythonValue::Dict(), root = PythonValue::Dict();
  group.Set("params", numbers);
  PythonValue all = PythonValue::List();
  for (int i = 0; i < groups; ++i) all.Append(group);
  optimizer.Set("state", state);
  optimizer.Set("param_groups", all);
  root.Set("global_step", PythonValue::Int(11));
  root.Set("pytorch-lightning_version", PythonValue::String("1.9.4"));
  root.Set("state_dict", state_dict);
  root.Set("optimizer_states", PythonValue::List({optimizer}));
  PythonValue callbacks = PythonValue::Dict();
  callbacks.Set("score", Floats({4}));
  root.Set("callbacks", callbacks);
  return root;
}

std::unique_ptr<AnyCheckpoint> Open(const std::string& path) {
  auto opened = AnyCheckpoint::Open(path);
  EXPECT_TRUE(opened.ok()) << opened.status();
  return *std::move(opened);
}

TEST(TorchCheckpoint, OptimizerByItsNumbers) {
  Write(Path("a.ckpt"), Lightning());
  const auto checkpoint = Open(Path("a.ckpt"));
  ASSERT_TRUE(checkpoint->description().optimizer.ok());
  EXPECT_FALSE(checkpoint->Find("optimizer", "exp_avg.a.weight"));
  // Tensors come as a, b, step, exp_avg, exp_avg_sq.
  EXPECT_EQ(checkpoint->Read(*checkpoint->Find("optimizer", "exp_avg.b.weight"))->data<float>()[0], 31);
  EXPECT_EQ(checkpoint->Read(*checkpoint->Find("optimizer", "exp_avg_sq.b.weight"))->data<float>()[2], 43);
  EXPECT_EQ(checkpoint->Read(*checkpoint->Find("optimizer", "step"))->data<int64_t>()[0], 21);
  EXPECT_EQ(checkpoint->description().state.step(), 11);
}

TEST(TorchCheckpoint, AnOptimizerThatCannotBeToldLeavesTheWeights) {
  Write(Path("a.ckpt"), Lightning(2));
  Write(Path("b.ckpt"), Lightning(1, 4));
  for (const char* name : {"a.ckpt", "b.ckpt"}) {
    const auto checkpoint = Open(Path(name));
    EXPECT_EQ(ExitCodeOf(checkpoint->description().optimizer), ExitCode::kData);
    EXPECT_FALSE(checkpoint->HasGroup("optimizer"));
    EXPECT_EQ(checkpoint->tensors().size(), 2u);
    // Converting says so instead of losing it.
    std::vector<std::string> remarks;
    EXPECT_FALSE(DraftOf(*checkpoint, {}, &remarks).ok());
    ConversionOptions weights;
    weights.weights_only = true;
    EXPECT_TRUE(DraftOf(*checkpoint, weights, &remarks).ok());
  }
}

// Every byte of every storage counts, also of those that nothing is made of.
TEST(TorchCheckpoint, VerifyReadsAllOfTheFile) {
  const std::string path = Path("whole.ckpt"), damaged = Path("damaged.ckpt");
  Write(path, Lightning());
  ASSERT_TRUE(VerifyCheckpoint(path, nullptr).ok());
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(stream), {});
  for (int storage = 0; storage < 6; ++storage) {
    const float first = 1 + 10 * static_cast<float>(storage);
    const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&first), sizeof(first)), 64);
    ASSERT_NE(at, std::string::npos);
    std::string changed = bytes;
    changed[at] ^= 1;
    std::ofstream(damaged, std::ios::binary) << changed;
    EXPECT_EQ(ExitCodeOf(VerifyCheckpoint(damaged, nullptr).status()), ExitCode::kData) << storage;
  }
}

TEST(TorchCheckpoint, DecayOfTheAveragesGoesThereAndBack) {
  PythonValue state_dict = PythonValue::OrderedDict(), root = PythonValue::Dict();
  state_dict.Set("unet.time_embed.0.weight", Floats({2}));
  state_dict.Set("unet_ema.decay", Floats({}));
  state_dict.Set("unet_ema.num_updates", PythonValue::Tensor(DType::kInt32, {}));
  state_dict.Set("unet_ema.time_embed0weight", Floats({2}));
  root.Set("state_dict", state_dict);
  Write(Path("there.ckpt"), root, 0.25f);  // tensors begin with 0.25, 10.25 (the decay), 20 and 30.25
  const auto there = Open(Path("there.ckpt"));
  EXPECT_EQ(there->description().state.numbers().at("ema/decay"), 10.25);
  std::filesystem::remove_all(Path("ours"));
  ASSERT_TRUE(ConvertCheckpoint(SystemFileOps(), *there, Path("ours"), {}, nullptr).ok());
  ConversionOptions overwrite;
  overwrite.overwrite = true;
  const auto ours = Open(Path("ours/checkpoints/step-000000000"));
  ASSERT_TRUE(ConvertCheckpoint(SystemFileOps(), *ours, Path("back.ckpt"), overwrite, nullptr).ok());
  EXPECT_EQ(Open(Path("back.ckpt"))->description().state.numbers().at("ema/decay"), 10.25);
  EXPECT_EQ(Open(Path("back.ckpt"))->description().state.counters().at("ema/updates"), 20);
}

TEST(TorchCheckpoint, AveragesOfAnotherShapeAreRefused) {
  PythonValue state_dict = PythonValue::OrderedDict(), root = PythonValue::Dict();
  state_dict.Set("unet.time_embed.0.weight", Floats({2}));
  state_dict.Set("unet_ema.time_embed0weight", Floats({3}));
  root.Set("state_dict", state_dict);
  Write(Path("a.ckpt"), root);
  const absl::Status status = AnyCheckpoint::Open(Path("a.ckpt")).status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_TRUE(absl::StrContains(std::string(status.message()), "another shape")) << status;
}

TEST(TorchCheckpoint, OddHyperParametersCostOnlyThemselves) {
  PythonValue root = Lightning(), hyper_parameters = PythonValue::Dict();
  hyper_parameters.Set("folder", PythonValue::String("${oc.env:HOME}"));
  root.Set("hyper_parameters", hyper_parameters);
  Write(Path("a.ckpt"), root);
  const auto checkpoint = Open(Path("a.ckpt"));
  EXPECT_TRUE(checkpoint->HasGroup("optimizer"));
  EXPECT_TRUE(std::any_of(checkpoint->description().remarks.begin(), checkpoint->description().remarks.end(),
                          [](const std::string& remark) { return absl::StrContains(remark, "are left out"); }));
}

TEST(TorchCheckpoint, FilesBeforePyTorch16AreNamed) {
  std::ofstream(Path("old.pth"), std::ios::binary) << std::string("\x80\x02\x8a\x0a", 4) << "lfc";
  const absl::Status status = AnyCheckpoint::Open(Path("old.pth")).status();
  EXPECT_TRUE(absl::StrContains(std::string(status.message()), "old format")) << status;
}

}  // namespace
}  // namespace cubist
