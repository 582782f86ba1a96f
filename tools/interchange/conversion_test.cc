#include "tools/interchange/conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "base/status.h"
#include "data_process/formats/pickle.h"
#include "data_process/formats/torch_zip.h"
#include "google/protobuf/util/message_differencer.h"
#include "tools/interchange/test_checkpoints.h"
#include "tools/training/checkpoint/checkpoint_reader.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

class ConversionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  ConversionReport Convert(const AnyCheckpoint& source, const std::string& name,
                           const ConversionOptions& options = {}) {
    const auto report = ConvertCheckpoint(SystemFileOps(), source, Path(name), options, nullptr);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : ConversionReport();
  }
  static std::unique_ptr<AnyCheckpoint> Open(const std::string& path) {
    auto opened = AnyCheckpoint::Open(path);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string Bytes(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }
  std::string folder_;
};

bool SameState(const checkpoint::TrainingState& a, const checkpoint::TrainingState& b) {
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

PickleValue At(PickleValue value, const std::vector<std::string>& path) {
  for (const std::string& key : path) {
    const auto next = value.Find(key);
    EXPECT_TRUE(next.has_value()) << key;
    if (!next.has_value()) return PickleValue();
    value = *next;
  }
  return value;
}

TEST_F(ConversionTest, EveryWayRoundIsTheSameBitForBit) {
  for (const auto& [name, source] : {std::pair("vae", TestVae()), std::pair("diffusion", TestDiffusion())}) {
    const std::map<std::string, std::string> content = ContentOf(*source);
    std::unique_ptr<AnyCheckpoint> at = Open(Convert(*source, std::string(name) + "_ours").output);
    // Only now the progress that a run of ours knows.
    const checkpoint::TrainingState state = at->description().state;
    int leg = 0;
    for (const char* ending : {".ckpt", "", ".safetensors", ".ckpt", ".safetensors", ""}) {
      const std::string output = std::string(name) + std::to_string(leg++) + ending;
      at = Open(Convert(*at, output).output);
      EXPECT_EQ(ContentOf(*at), content) << output;
      EXPECT_TRUE(SameState(at->description().state, state)) << output << at->description().state.DebugString();
      EXPECT_EQ(at->description().config_text, source->description().config_text) << output;
    }
  }
}

TEST_F(ConversionTest, OursIsACheckpointThatVerifiesAndNamesItsParent) {
  const auto source = TestVae();
  const ConversionReport report = Convert(*source, "run");
  const auto checkpoint = Checkpoint::Open(report.output);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE(checkpoint->Verify().ok());
  ASSERT_EQ(checkpoint->manifest().parents_size(), 1);
  EXPECT_EQ(checkpoint->manifest().parents(0).identity(), std::string(64, 'a'));
  EXPECT_EQ(checkpoint->manifest().host(), "");
  EXPECT_EQ(Bytes(Path("run/config.textproto")), source->description().config_text);
  // What resuming asks for: quickstart's batch.
  EXPECT_EQ(checkpoint->state().counters().count("global_batch"), 1u);
}

TEST_F(ConversionTest, EqualInputsGiveEqualBytes) {
  const auto source = TestDiffusion();
  for (const char* ending : {".ckpt", ".safetensors"}) {
    Convert(*source, std::string("a") + ending);
    Convert(*source, std::string("b") + ending);
    EXPECT_EQ(Bytes(Path(std::string("a") + ending)), Bytes(Path(std::string("b") + ending)));
  }
  const std::string a = Convert(*source, "a").output, b = Convert(*source, "b").output;
  for (const auto& entry : fs::directory_iterator(a)) {
    EXPECT_EQ(Bytes(entry.path()), Bytes(b + "/" + entry.path().filename().string())) << entry.path();
  }
}

// What the reference's trainer reads, by its own names.
TEST_F(ConversionTest, LightningFile) {
  Convert(*TestDiffusion(), "d.ckpt");
  const auto file = OpenTorchZipFile(Path("d.ckpt"));
  ASSERT_TRUE(file.ok()) << file.status();
  const PickleValue root = file->root();
  EXPECT_EQ(At(root, {"global_step"}).int_value(), 4000);
  EXPECT_EQ(At(root, {"pytorch-lightning_version"}).string(), "1.9.4");
  const PickleValue state_dict = At(root, {"state_dict"});
  EXPECT_EQ(state_dict.class_name(), "collections.OrderedDict");
  std::vector<std::string> names;
  for (size_t i = 0; i < state_dict.pair_count(); ++i) names.push_back(state_dict.key(i).string());
  EXPECT_EQ(names, (std::vector<std::string>{"scale_factor", "vae.encoder.mix_fc.weight", "vae.unet.pre_conv.weight",
                                             "unet.time_embed.0.weight", "unet.time_embed.0.bias", "unet.out.2.weight",
                                             "unet_ema.decay", "unet_ema.num_updates", "unet_ema.time_embed0weight",
                                             "unet_ema.time_embed0bias", "unet_ema.out2weight"}));
  const auto updates = file->Materialize(At(state_dict, {"unet_ema.num_updates"}).tensor());
  ASSERT_TRUE(updates.ok());
  EXPECT_EQ(updates->Describe(), "int32[]");
  EXPECT_EQ(updates->data<int32_t>()[0], 16000);
  // The frozen VAE's two parameters have numbers and no state.
  const PickleValue optimizer = At(root, {"optimizer_states"}).item(0);
  const PickleValue state = At(optimizer, {"state"});
  ASSERT_EQ(state.pair_count(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(state.key(i).int_value(), static_cast<int64_t>(i) + 2);
  EXPECT_EQ(At(optimizer, {"param_groups"}).item(0).Find("params")->size(), 5u);
  EXPECT_EQ(At(root, {"loops", "fit_loop", "epoch_loop.batch_loop.optimizer_loop.optim_progress", "optimizer", "step",
                      "total", "completed"})
                .int_value(),
            4000);
}

TEST_F(ConversionTest, WeightsAlone) {
  const auto source = TestDiffusion();
  ConversionOptions options;
  options.weights_only = true;
  const auto weights = Open(Convert(*source, "weights.ckpt", options).output);
  EXPECT_FALSE(weights->HasGroup("ema") || weights->HasGroup("optimizer"));
  EXPECT_EQ(weights->description().format_name, "torch state dict");
  options = {};
  options.averages = true;
  const auto averages = Open(Convert(*source, "averages.safetensors", options).output);
  EXPECT_FALSE(averages->HasGroup("ema"));
  const std::map<std::string, std::string> all = ContentOf(*source), found = ContentOf(*averages);
  EXPECT_EQ(found.size(), 6u);
  EXPECT_EQ(found.at("model/unet.out.2.weight"), all.at("ema/unet.out.2.weight"));
  EXPECT_EQ(found.at("model/scale_factor"), all.at("model/scale_factor"));
  EXPECT_EQ(ConvertCheckpoint(SystemFileOps(), *TestVae(), Path("x.ckpt"), options, nullptr).status().code(),
            ConfigError("").code());
}

TEST_F(ConversionTest, WhatCannotBeHeldIsSaid) {
  auto vae = TestVae();
  vae->Add("ema", "unet.pre_conv.weight", {4, 4});
  ConversionReport report = Convert(*vae, "a.ckpt");
  ASSERT_EQ(report.remarks.size(), 2u);
  EXPECT_TRUE(absl::StrContains(report.remarks[0], "moving averages for voxel diffusion only"));
  EXPECT_TRUE(absl::StrContains(report.remarks[1], "no hyper_parameters"));
  vae->description_for_test().config_text.clear();
  report = Convert(*vae, "b.ckpt");
  EXPECT_TRUE(absl::StrContains(report.remarks[0], "its state is left out")) << report.remarks[0];
  EXPECT_EQ(Open(Path("b.ckpt"))->description().format_name, "torch state dict");
}

TEST_F(ConversionTest, NothingIsOverwrittenAndNothingHalfWrittenStays) {
  const auto source = TestVae();
  Convert(*source, "a.ckpt");
  Convert(*source, "run");
  const std::string before = Bytes(Path("a.ckpt"));
  const auto code = [&](const std::string& output, const AnyCheckpoint& from, bool overwrite) {
    ConversionOptions options;
    options.overwrite = overwrite;
    return ExitCodeOf(ConvertCheckpoint(SystemFileOps(), from, Path(output), options, nullptr).status());
  };
  EXPECT_EQ(code("a.ckpt", *source, false), ExitCode::kConfig);
  EXPECT_EQ(code("run", *source, true), ExitCode::kConfig);
  const auto ours = Open(Path("run/checkpoints/step-000000012"));
  for (const char* part : {"model.safetensors", "new.ckpt"}) {
    EXPECT_EQ(code(std::string("run/checkpoints/step-000000012/") + part, *ours, true), ExitCode::kConfig) << part;
  }
  EXPECT_EQ(code("a.ckpt", *Open(Path("a.ckpt")), true), ExitCode::kConfig);
  EXPECT_EQ(Bytes(Path("a.ckpt")), before);
  EXPECT_EQ(code("a.ckpt", *source, true), ExitCode::kDone);
  // A tensor that is damaged is met in the middle of the writing.
  std::string bytes = before;
  const absl::StatusOr<HostTensor> victim = source->Read(*source->Find("model", "unet.pre_conv.weight"));
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(victim->bytes()), victim->byte_size()));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(Path("bad.ckpt"), std::ios::binary) << bytes;
  const auto bad = AnyCheckpoint::Open(Path("bad.ckpt"));
  const std::vector<std::string> names = Names();
  ASSERT_TRUE(bad.ok()) << bad.status();
  for (const char* output : {"c.ckpt", "c.safetensors", "c"}) EXPECT_EQ(code(output, **bad, false), ExitCode::kData);
  EXPECT_EQ(Names(), names);
}

TEST_F(ConversionTest, ASignalEndsIt) {
  const auto source = TestVae();
  for (const char* output : {"c.ckpt", "c.safetensors", "c"}) {
    const auto stop = [](int64_t done, int64_t total) {
      return 2 * done < total ? absl::OkStatus() : PreemptedError("asked to stop");
    };
    const auto report = ConvertCheckpoint(SystemFileOps(), *source, Path(output), {}, stop);
    EXPECT_EQ(ExitCodeOf(report.status()), ExitCode::kPreempted) << report.status();
  }
  EXPECT_EQ(Names(), std::vector<std::string>());
}

TEST_F(ConversionTest, DamageInTheMiddleOfATensorIsFound) {
  const auto source = TestVae();
  const std::string name = "unet.semantic_head.SingleConv.Conv.weight";
  const absl::StatusOr<HostTensor> victim = source->Read(*source->Find("model", name));
  const std::string content(reinterpret_cast<const char*>(victim->bytes()), victim->byte_size());
  Convert(*source, "a.ckpt");
  const std::string run = Convert(*source, "run").output;
  for (const auto& [path, code] :
       {std::pair(Path("a.ckpt"), ExitCode::kData), std::pair(run + "/model.safetensors", ExitCode::kStorage)}) {
    std::string bytes = Bytes(path);
    const size_t at = bytes.find(content);
    ASSERT_NE(at, std::string::npos);
    bytes[at + content.size() - 100] ^= 4;
    std::ofstream(path, std::ios::binary) << bytes;
    const auto damaged = AnyCheckpoint::Open(code == ExitCode::kData ? path : run);
    ASSERT_TRUE(damaged.ok()) << damaged.status();
    const std::vector<std::string> names = Names();
    for (const char* output : {"c.ckpt", "c.safetensors", "c"}) {
      const auto report = ConvertCheckpoint(SystemFileOps(), **damaged, Path(output), {}, nullptr);
      EXPECT_EQ(ExitCodeOf(report.status()), code) << report.status();
      EXPECT_TRUE(absl::StrContains(std::string(report.status().message()), name)) << report.status();
    }
    EXPECT_EQ(Names(), names);
  }
}

}  // namespace
}  // namespace cubist
