#include "tools/interchange/test_checkpoints.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "configs/loader.h"

namespace cubist {
namespace {

std::string Recipe(const std::string& path) {
  const std::string folder = absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"), "/configs/");
  const auto config = LoadExperiment(folder + path);
  if (!config.ok()) std::abort();
  return config->CanonicalText();
}

void AddMoments(MemoryCheckpoint& checkpoint, const std::vector<std::pair<std::string, std::vector<int64_t>>>& of,
                int64_t steps) {
  for (const auto& [name, shape] : of) {
    for (const char* moment : {"exp_avg.", "exp_avg_sq.", "max_exp_avg_sq."}) {
      checkpoint.Add("optimizer", moment + name, shape);
    }
  }
  checkpoint.Add("optimizer", "step", HostTensor::Of<int64_t>({steps}, {1}));
}

void SetRun(MemoryCheckpoint& checkpoint, int64_t step, const std::string& config) {
  CheckpointDescription& description = checkpoint.description_for_test();
  description.state.set_step(step);
  description.state.set_samples_consumed(step * 8);
  description.state.set_seed(7);
  (*description.state.mutable_best_metrics())["val_loss"] = 0.1;
  description.config_text = config;
}

}  // namespace

MemoryCheckpoint::MemoryCheckpoint() {
  description_.path = "memory";
  description_.format_name = "Cubist";
  description_.identity = std::string(64, 'a');
}

void MemoryCheckpoint::Add(const std::string& group, const std::string& name, HostTensor tensor) {
  listed_.push_back({group, name, tensor.dtype(), tensor.shape()});
  values_.push_back(std::move(tensor));
  SetTensors(listed_);
}

void MemoryCheckpoint::Add(const std::string& group, const std::string& name, const std::vector<int64_t>& shape) {
  HostTensor tensor(DType::kFloat32, shape);
  const size_t salt = std::hash<std::string>()(group + "/" + name) % 1000;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    tensor.data<float>()[i] = static_cast<float>(salt) + 0.001f * static_cast<float>(i);
  }
  Add(group, name, std::move(tensor));
}

std::unique_ptr<MemoryCheckpoint> TestVae() {
  auto vae = std::make_unique<MemoryCheckpoint>();
  const std::vector<std::pair<std::string, std::vector<int64_t>>> parameters = {
      {"encoder.semantic_embed_fn.weight", {23, 4}},
      {"encoder.mix_fc.weight", {4, 5}},
      {"encoder.mix_fc.bias", {4}},
      {"unet.encoders.Enc0-Block0.conv1.Conv.weight", {4, 4, 3, 3, 3}},
      {"unet.pre_kl_bottleneck.pre_kl_bottleneck_0.conv1.Conv.weight", {8, 4, 3, 3, 3}},
      {"unet.pre_conv.weight", {4, 4}},
      // Larger than the pieces in which tensors pass by.
      {"unet.semantic_head.SingleConv.Conv.weight", {700, 601}}};
  for (const auto& [name, shape] : parameters) vae->Add("model", name, shape);
  AddMoments(*vae, parameters, 12);
  SetRun(*vae, 12, Recipe("quickstart/vae.textproto"));
  return vae;
}

std::unique_ptr<MemoryCheckpoint> TestDiffusion() {
  auto diffusion = std::make_unique<MemoryCheckpoint>();
  diffusion->Add("model", "scale_factor", HostTensor::Of<float>({0.7f}, {}));
  diffusion->Add("model", "vae.encoder.mix_fc.weight", {4, 5});
  diffusion->Add("model", "vae.unet.pre_conv.weight", {4, 4});
  const std::vector<std::pair<std::string, std::vector<int64_t>>> parameters = {
      {"unet.time_embed.0.weight", {6, 2}}, {"unet.time_embed.0.bias", {6}}, {"unet.out.2.weight", {2, 3, 1}}};
  for (const auto& [name, shape] : parameters) diffusion->Add("model", name, shape);
  for (const auto& [name, shape] : parameters) diffusion->Add("ema", name, shape);
  AddMoments(*diffusion, parameters, 4000);
  SetRun(*diffusion, 4000, Recipe("quickstart/diffusion.textproto"));
  (*diffusion->description_for_test().state.mutable_counters())["ema/updates"] = 16000;
  return diffusion;
}

std::unique_ptr<MemoryCheckpoint> TestBranch(std::string_view branch) {
  auto checkpoint = std::make_unique<MemoryCheckpoint>();
  const bool voxel = branch == "voxel";
  const std::string encoder =
      voxel ? "img_encoder.encoders.conv.project_head.0.1." : "img_encoder.encoders.dav2.upsampler.0.";
  checkpoint->Add("model", encoder + "weight", {3});
  checkpoint->Add("model", encoder + "running_mean", {3});
  checkpoint->Add("model", encoder + "num_batches_tracked", HostTensor::Of<int64_t>({5}, {}));
  // The reference registers the sky before the backbone.
  checkpoint->Add("model", voxel ? "skybox.skybox_net.2.weight" : "skybox.sky_query", {1, 1, 4});
  checkpoint->Add("model", voxel ? "backbone.backbone_3d.pre_conv.weight" : "backbone.backbone_2d.linear_out.weight",
                  {3, 3});
  SetRun(*checkpoint, voxel ? 100 : 200,
         Recipe(voxel ? "recipes/gsm_vs02_res512_view1_voxel_branch_only_sky_panorama.textproto"
                      : "recipes/gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator.textproto"));
  checkpoint->description_for_test().path = std::string(branch);
  return checkpoint;
}

std::map<std::string, std::string> ContentOf(const AnyCheckpoint& checkpoint) {
  std::map<std::string, std::string> content;
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const absl::StatusOr<HostTensor> value = checkpoint.Read(i);
    const ListedTensor& tensor = checkpoint.tensors()[i];
    content[absl::StrCat(tensor.group, "/", tensor.name)] =
        value.ok() ? absl::StrCat(value->Describe(), " ",
                                  std::string(reinterpret_cast<const char*>(value->bytes()), value->byte_size()))
                   : std::string(value.status().message());
  }
  return content;
}

}  // namespace cubist
