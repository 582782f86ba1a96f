#include "models/vae/voxel_vae_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

constexpr double kIouEpsilon = 1e-6;

// Sums of the rows of each sample: [N, ...] to [B, ...].
at::Tensor SumPerSample(const at::Tensor& values, const std::vector<int64_t>& offsets) {
  std::vector<at::Tensor> sums;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    sums.push_back(values.narrow(0, offsets[b], offsets[b + 1] - offsets[b]).sum(0));
  }
  return at::stack(sums);
}

// Collects terms and metrics; all terms end as one loss a sample.
class LossBuilder {
 public:
  LossBuilder(int64_t batch_size, bool batch_mean, const at::TensorOptions& options)
      : batch_mean_(batch_mean),
        batch_weight_(at::full({}, static_cast<double>(batch_size), options)),
        total_(at::zeros({}, options)) {}

  // Adds weight * (mean of `values` [N] over each sample's rows, or over the batch's), each row counting
  // as much as `row_weight` [N] says (undefined: all the same). Samples without rows add 0.
  void AddTerm(const std::string& name, double weight, const at::Tensor& values, const at::Tensor& row_weight,
               const std::vector<int64_t>& offsets) {
    const bool weighted = row_weight.defined();
    at::Tensor sums = SumPerSample(weighted ? values * row_weight : values, offsets);
    at::Tensor counts = weighted ? SumPerSample(row_weight, offsets) : RowCounts(offsets, values.options());
    if (batch_mean_) {
      sums = sums.sum() * batch_weight_;
      counts = counts.sum();
    }
    // Where there is nothing to count the sum is zero as well.
    const at::Tensor term = (sums / counts.clamp_min(1e-30)).sum() * weight;
    total_ = total_ + term;
    AddMetric(name, term);
  }

  // `sum`: over samples.
  void AddMetric(const std::string& name, const at::Tensor& sum) { metrics_.Add(name, sum, batch_weight_); }

  static at::Tensor RowCounts(const std::vector<int64_t>& offsets, const at::TensorOptions& options) {
    std::vector<at::Tensor> counts;
    for (size_t b = 0; b + 1 < offsets.size(); ++b) {
      counts.push_back(at::full({}, static_cast<double>(offsets[b + 1] - offsets[b]), options));
    }
    return at::stack(counts);
  }

  VoxelVaeLoss Finish() {
    AddMetric("loss/sum", total_);
    return {total_, std::move(metrics_)};
  }

 private:
  bool batch_mean_;
  at::Tensor batch_weight_, total_;
  MetricTable metrics_;
};

// The weight of each candidate when the occupied class counts by the inverse of its share.
at::Tensor AdaptiveWeight(const at::Tensor& target_occupied, const std::vector<int64_t>& offsets, bool batch_mean) {
  const at::Tensor occupied = target_occupied.to(at::kFloat);
  std::vector<at::Tensor> parts;
  const std::vector<int64_t> whole = {0, offsets.back()};
  const std::vector<int64_t>& scopes = batch_mean ? whole : offsets;
  for (size_t b = 0; b + 1 < scopes.size(); ++b) {
    const at::Tensor part = occupied.narrow(0, scopes[b], scopes[b + 1] - scopes[b]);
    const at::Tensor weight = (static_cast<double>(part.size(0)) / part.sum().clamp_min(1e-30)).clamp(1.0, 100.0);
    parts.push_back(at::where(part.gt(0.5), weight, at::full({}, 1.0, part.options())));
  }
  return at::cat(parts);
}

absl::Status AddStructure(const StructureLevel& structure, const VoxelGrid& truth, const VoxelVaeLossOptions& options,
                          LossBuilder& builder) {
  const std::string suffix = std::to_string(structure.level);
  const auto& offsets = structure.candidates.offsets();
  ASSIGN_OR_RETURN(const at::Tensor truth_row, Lookup(truth, structure.ijk, offsets));
  const at::Tensor is_true = truth_row.ge(0);
  const at::Tensor target = is_true.logical_not().to(at::kLong);
  const at::Tensor cross_entropy = CrossEntropy(structure.logits, target);
  at::Tensor row_weight;
  if (options.adaptive_structure_weight) {
    row_weight = AdaptiveWeight(is_true, offsets, options.batch_mean_over_voxels).to(cross_entropy.scalar_type());
  }
  builder.AddTerm("loss/struct-" + suffix, options.structure_weight, cross_entropy, row_weight, offsets);

  const at::Tensor columns = at::stack({structure.occupied.logical_and(is_true), structure.occupied,
                                        structure.logits.detach().argmax(1).eq(target)},
                                       1)
                                 .to(at::kDouble);
  const at::Tensor sums = SumPerSample(columns, offsets);
  const at::Tensor both = sums.select(1, 0), predicted = sums.select(1, 1), correct = sums.select(1, 2);
  const at::Tensor actual = LossBuilder::RowCounts(truth.host_offsets, columns.options());
  const at::Tensor candidates = LossBuilder::RowCounts(offsets, columns.options());
  builder.AddMetric("metric/struct-acc-" + suffix, (correct / candidates.clamp_min(1)).sum());
  builder.AddMetric("metric/iou-" + suffix, (both / (predicted + actual - both + kIouEpsilon)).sum());
  builder.AddMetric("metric/precision-" + suffix, (both / predicted.clamp_min(1)).sum());
  builder.AddMetric("metric/recall-" + suffix, (both / actual.clamp_min(1)).sum());
  builder.AddMetric("metric/candidates-" + suffix, candidates.sum());
  return absl::OkStatus();
}

// Accuracy, and IoU of the classes that occur, over predicted voxels that are occupied in truth.
absl::Status AddMatchedClasses(const Reconstruction& reconstruction, const VoxelGrid& truth, const at::Tensor& labels,
                               LossBuilder& builder) {
  const VoxelGrid& grid = reconstruction.grid;
  const int64_t batch_size = truth.batch_size();
  at::Tensor accuracy = at::zeros({}, labels.options().dtype(at::kDouble)), mean_iou = accuracy;
  if (grid.num_voxels() > 0 && truth.num_voxels() > 0) {
    const at::Tensor logits = reconstruction.semantic_logits.detach();
    const int64_t classes = logits.size(1);
    ASSIGN_OR_RETURN(const at::Tensor row, Lookup(truth, grid.ijk, grid.host_offsets));
    const at::Tensor matched = row.ge(0);
    const at::Tensor sample = at::repeat_interleave(grid.offsets.slice(0, 1) - grid.offsets.slice(0, 0, -1),
                                                    std::optional<int64_t>(grid.num_voxels()));  // else it waits
    const at::Tensor predicted = logits.argmax(1);
    const at::Tensor actual = labels.index_select(0, row.clamp_min(0));
    // Of the rows where `counts` is true. Sums of ones are exact, in whatever order a device adds them.
    const auto count = [&](const at::Tensor& value, const at::Tensor& counts) {
      return at::zeros({batch_size * classes}, logits.options().dtype(at::kDouble))
          .index_add_(0, sample * classes + value, counts.to(at::kDouble))
          .view({batch_size, classes});
    };
    const at::Tensor both = count(actual, matched.logical_and(predicted.eq(actual)));
    const at::Tensor of_class = count(actual, matched);
    const at::Tensor either = of_class + count(predicted, matched) - both;
    const at::Tensor occurs = either.gt(0).to(at::kDouble);
    mean_iou = ((both / either.clamp_min(1)).sum(1) / occurs.sum(1).clamp_min(1)).sum();
    accuracy = (both.sum(1) / of_class.sum(1).clamp_min(1)).sum();
  }
  builder.AddMetric("metric/semantic-acc", accuracy);
  builder.AddMetric("metric/miou", mean_iou);
  return absl::OkStatus();
}

void AddLatent(const Latent& latent, int64_t batch_size, double weight, LossBuilder& builder) {
  const int64_t cells = latent.divergence.size(0) / batch_size;
  std::vector<int64_t> offsets;
  for (int64_t b = 0; b <= batch_size; ++b) offsets.push_back(b * cells);
  builder.AddTerm("loss/kld", weight, latent.divergence, at::Tensor(), offsets);
  const at::Tensor total = latent.divergence.detach().sum();
  builder.AddMetric("loss/mu-0", latent.mean.detach().mean() * batch_size);
  builder.AddMetric("loss/logvar-0", latent.log_variance.detach().mean() * batch_size);
  builder.AddMetric("loss/kld-true-0", total / cells);
  builder.AddMetric("loss/kld-total-0", total);
}

}  // namespace

absl::StatusOr<VoxelVaeLoss> ComputeVoxelVaeLoss(const VoxelVaeOptions& options,
                                                 const VoxelVaeLossOptions& loss_options, const VoxelGrid& truth,
                                                 const at::Tensor& labels, const Latent& latent,
                                                 const Reconstruction& reconstruction) {
  const int64_t batch_size = truth.batch_size();
  LossBuilder builder(batch_size, loss_options.batch_mean_over_voxels, latent.mean.options().requires_grad(false));

  std::vector<VoxelGrid> truth_at = {truth};
  for (int level = 1; level < options.num_levels; ++level) {
    ASSIGN_OR_RETURN(Coarsened coarsened, Coarsen(truth_at.back(), options.PoolingFactor(level)));
    truth_at.push_back(std::move(coarsened.grid));
  }
  for (const StructureLevel& structure : reconstruction.structure) {
    RETURN_IF_ERROR(AddStructure(structure, truth_at[structure.level], loss_options, builder));
  }

  const VoxelGrid& predicted = reconstruction.grid;
  at::Tensor cross_entropy = at::zeros({0}, latent.mean.options().requires_grad(false));
  if (predicted.num_voxels() > 0) {
    ASSIGN_OR_RETURN(const at::Tensor nearest, NearestVoxel(truth, predicted));
    cross_entropy = CrossEntropy(reconstruction.semantic_logits, labels.index_select(0, nearest));
  }
  builder.AddTerm("loss/semantic_-1", loss_options.semantic_weight, cross_entropy, at::Tensor(),
                  predicted.host_offsets);
  AddLatent(latent, batch_size, loss_options.kl_weight, builder);
  RETURN_IF_ERROR(AddMatchedClasses(reconstruction, truth, labels, builder));
  return builder.Finish();
}

}  // namespace cubist
