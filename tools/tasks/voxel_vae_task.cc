#include "tools/tasks/voxel_vae_task.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/philox.h"
#include "base/status.h"
#include "kernels/random_normal/random_normal_torch.h"
#include "models/vae/voxel_vae_loss.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/tasks/voxel_batch.h"
#include "tools/tasks/voxel_picture.h"

namespace cubist {
namespace {

// With what the network asks of the voxels, made on loader threads.
struct VoxelVaeBatch : VoxelBatch {
  VoxelPyramid pyramid;  // of the grid
};

class VoxelVaeTask : public Task {
 public:
  VoxelVaeTask(const Experiment& experiment, at::ScalarType dtype, at::Device device)
      : config_(experiment), dtype_(dtype), device_(device), vae_(VoxelVaeOptionsOf(experiment)) {}

  const Module& module() const override { return vae_; }

  absl::StatusOr<std::unique_ptr<TaskBatch>> MakeBatch(const std::vector<SceneSample>& samples) const override {
    auto batch = std::make_unique<VoxelVaeBatch>();
    // On loader threads, beside which the device works on earlier batches.
    RETURN_IF_ERROR(Voxelize(samples, config_.data(), config_.voxel_vae().num_semantic(), at::kCPU, *batch));
    ASSIGN_OR_RETURN(batch->pyramid, MakeVoxelPyramid(vae_.options(), batch->grid));
    if (!device_.is_cpu()) {  // from there copies make no one wait
      batch->pyramid = batch->pyramid.Pinned();
      batch->labels = batch->labels.pin_memory();
      batch->draws = batch->draws.pin_memory();
    }
    return batch;
  }

  absl::StatusOr<Evaluation> Evaluate(const TaskBatch& task_batch, int64_t step, bool training) const override {
    const auto& batch = static_cast<const VoxelVaeBatch&>(task_batch);
    const VoxelPyramid voxels = batch.pyramid.To(device_);
    const at::Tensor labels = ToDevice(batch.labels);
    std::optional<at::Tensor> noise;
    if (training) {
      const int64_t channels = vae_.options().LatentChannels();
      noise = RandomNormal({batch.size, vae_.NeckCells(), channels}, static_cast<uint32_t>(config_.training().seed()),
                           RandomPurpose::kLatentNoise, ToDevice(batch.draws), dtype_)
                  .view({-1, channels});
    }
    ASSIGN_OR_RETURN(const Latent latent, vae_.Encode(voxels, labels, noise));
    absl::StatusOr<Reconstruction> decoded = vae_.Decode(latent.sample, batch.size);
    if (!decoded.ok()) {
      return Annotate(decoded.status(),
                      absl::StrCat("step ", step + 1, ", clip ", batch.clip, ", start frame ", batch.start_frame));
    }
    const Reconstruction reconstruction = *std::move(decoded);
    const VoxelVaeLossOptions options = LossOptionsAt(step);
    ASSIGN_OR_RETURN(const VoxelVaeLoss loss, ComputeVoxelVaeLoss(options, voxels, labels, latent, reconstruction));
    return Evaluation{loss.total, [metrics_of = loss.metrics, options, this] {
                        MetricTable metrics = metrics_of();
                        if (config_.voxel_vae().has_kl_anneal()) {
                          const at::TensorOptions kind = at::TensorOptions().dtype(at::kDouble).device(device_);
                          metrics.Add("anneal_kl_weight", at::full({}, options.kl_weight, kind),
                                      at::full({}, 1.0, kind));
                        }
                        return metrics;
                      }};
  }

  absl::StatusOr<HostTensor> Picture(const TaskBatch& task_batch, int64_t) const override {
    const auto& batch = static_cast<const VoxelVaeBatch&>(task_batch);
    const at::NoGradGuard no_gradients;
    ASSIGN_OR_RETURN(const Latent latent, vae_.Encode(batch.pyramid.To(device_), ToDevice(batch.labels)));
    ASSIGN_OR_RETURN(const Reconstruction reconstruction, vae_.Decode(latent.mean, batch.size));
    LabelledVoxels prediction;
    if (reconstruction.semantic_logits.defined()) {
      prediction = FirstSample(reconstruction.grid, reconstruction.semantic_logits.argmax(1));
    }
    return DrawComparison(FirstSample(batch.grid, batch.labels), prediction, Extent());
  }

 private:
  at::Tensor ToDevice(const at::Tensor& tensor) const {
    return tensor.to(device_, tensor.scalar_type(), /*non_blocking=*/!device_.is_cpu());
  }

  // Voxels of level 0 that the crop holds along each axis, and the first.
  VoxelBox Extent() const {
    const VoxelVaeOptions& options = vae_.options();
    std::array<int, 3> cells = options.neck_half_extent;
    for (int level = 1; level < options.num_levels; ++level) {
      for (int d = 0; d < 3; ++d) cells[d] *= options.PoolingFactor(level)[d];
    }
    return {{-cells[0], -cells[1], -cells[2]}, {2 * cells[0], 2 * cells[1], 2 * cells[2]}};
  }

  static LabelledVoxels FirstSample(const VoxelGrid& grid, const at::Tensor& labels) {
    const int64_t rows = grid.host_offsets[1];
    return {ToHost(grid.ijk.narrow(0, 0, rows)), ToHost(labels.narrow(0, 0, rows).to(at::kInt))};
  }

  VoxelVaeLossOptions LossOptionsAt(int64_t step) const {
    const VoxelVae& vae = config_.voxel_vae();
    VoxelVaeLossOptions options;
    options.structure_weight = vae.structure_weight();
    options.semantic_weight = vae.semantic_weight();
    options.kl_weight = vae.kl_weight();
    options.adaptive_structure_weight = vae.adaptive_structure_weight();
    options.batch_mean_over_voxels = config_.gradient().batch_mean_over_voxels();
    if (vae.has_kl_anneal()) {
      const KlAnneal& anneal = vae.kl_anneal();
      const double progress = static_cast<double>(step - anneal.start_step()) /
                              static_cast<double>(std::max<int64_t>(1, anneal.end_step() - anneal.start_step()));
      options.kl_weight =
          anneal.weight_min() + (anneal.weight_max() - anneal.weight_min()) * std::clamp(progress, 0.0, 1.0);
    }
    return options;
  }

  const Experiment config_;
  const at::ScalarType dtype_;
  const at::Device device_;
  const VoxelVaeNetwork vae_;
};

}  // namespace

VoxelVaeOptions VoxelVaeOptionsOf(const Experiment& experiment) {
  const VoxelVae& vae = experiment.voxel_vae();
  VoxelVaeOptions options;
  options.num_semantic = vae.num_semantic();
  options.dim_semantic = vae.dim_semantic();
  options.encoder_channels = vae.encoder_channels();
  options.base_channels = vae.base_channels();
  options.num_levels = vae.num_levels();
  options.pool_height_levels.assign(vae.pool_height_levels().begin(), vae.pool_height_levels().end());
  std::copy(vae.neck_half_extent().begin(), vae.neck_half_extent().end(), options.neck_half_extent.begin());
  options.latent_cut_ratio = vae.latent_cut_ratio();
  options.norm_groups = vae.norm_groups();
  options.voxel_size = experiment.data().voxel_size();
  options.max_candidates = vae.max_candidates();
  options.bfloat16_features = experiment.training().precision() == BF16;
  return options;
}

absl::StatusOr<std::unique_ptr<Task>> MakeVoxelVaeTask(const Experiment& experiment, at::ScalarType dtype,
                                                       at::Device device) {
  return std::unique_ptr<Task>(std::make_unique<VoxelVaeTask>(experiment, dtype, device));
}

}  // namespace cubist
