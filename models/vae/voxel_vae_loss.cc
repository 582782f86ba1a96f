#include "models/vae/voxel_vae_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

constexpr double kIouEpsilon = 1e-6;

// Sums of the rows of each sample: [N, ...] to [B, ...], of `dtype`.
at::Tensor SumPerSample(const at::Tensor& values, const std::vector<int64_t>& offsets, at::ScalarType dtype) {
  std::vector<at::Tensor> sums;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    sums.push_back(values.narrow(0, offsets[b], offsets[b + 1] - offsets[b]).sum(0, /*keepdim=*/false, dtype));
  }
  return at::stack(sums);
}

// The rows that are averaged together: those of a sample, or of the whole batch.
std::vector<int64_t> ScopesOf(const std::vector<int64_t>& offsets, bool batch_mean) {
  return batch_mean ? std::vector<int64_t>{0, offsets.back()} : offsets;
}

// The weight of each candidate when the occupied class counts by the inverse of its share.
at::Tensor AdaptiveWeight(const at::Tensor& target_occupied, const std::vector<int64_t>& scopes) {
  const at::Tensor occupied = target_occupied.to(at::kFloat);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < scopes.size(); ++b) {
    const at::Tensor part = occupied.narrow(0, scopes[b], scopes[b + 1] - scopes[b]);
    const at::Tensor weight = (static_cast<double>(part.size(0)) / part.sum().clamp_min(1e-30)).clamp(1.0, 100.0);
    parts.push_back(at::where(part.gt(0.5), weight, at::full({}, 1.0, part.options())));
  }
  return at::cat(parts);
}

// weight * (mean of `values` [N] over each scope's rows), each row counting as much as `row_weight` [N] says
// (undefined: all the same), summed over scopes that stand for `samples` samples together. A scope without rows adds 0.
at::Tensor TermOf(double weight, const at::Tensor& values, const at::Tensor& row_weight,
                  const std::vector<int64_t>& scopes, int64_t samples) {
  const double scale = weight * static_cast<double>(samples) / static_cast<double>(scopes.size() - 1);
  at::Tensor term;
  for (size_t b = 0; b + 1 < scopes.size(); ++b) {
    const int64_t rows = scopes[b + 1] - scopes[b];
    at::Tensor part = values.narrow(0, scopes[b], rows);
    if (row_weight.defined()) {
      const at::Tensor of_rows = row_weight.narrow(0, scopes[b], rows);
      part = (part * of_rows).sum() / of_rows.sum().clamp_min(1e-30) * scale;
    } else {
      part = part.sum() * (scale / static_cast<double>(std::max<int64_t>(rows, 1)));
    }
    term = term.defined() ? term + part : part;
  }
  return term;
}

// What the metrics of a batch are made of; holds no gradients.
struct LevelOutcome {
  int level;
  at::Tensor term, occupied, is_true, logits;
  std::vector<int64_t> offsets, truth_offsets;
};
struct Outcome {
  std::vector<LevelOutcome> levels;
  at::Tensor semantic_term, latent_term, total;
  at::Tensor mean, log_variance, divergence;
  std::vector<int64_t> predicted_offsets;
  at::Tensor semantic_logits;  // undefined if nothing was predicted
  at::Tensor truth_row;        // of each predicted voxel, -1 where there is none
  at::Tensor labels;

  int64_t samples() const { return static_cast<int64_t>(predicted_offsets.size()) - 1; }
};

at::Tensor RowCounts(const std::vector<int64_t>& offsets, const at::TensorOptions& options) {
  std::vector<at::Tensor> counts;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    counts.push_back(at::full({}, static_cast<double>(offsets[b + 1] - offsets[b]), options));
  }
  return at::stack(counts);
}

// Of all levels at once, since each is but a few numbers: by name, sums over samples [levels].
std::vector<std::pair<std::string, at::Tensor>> StructureMetrics(const std::vector<LevelOutcome>& levels) {
  std::vector<at::Tensor> sums, actual_of, candidates_of;
  for (const LevelOutcome& outcome : levels) {
    const at::Tensor target = outcome.is_true.logical_not();  // class 0 is "occupied"
    const at::Tensor columns = at::stack(
        {outcome.occupied.logical_and(outcome.is_true), outcome.occupied, outcome.logits.argmax(1).eq(target)}, 1);
    sums.push_back(SumPerSample(columns, outcome.offsets, at::kDouble));
    actual_of.push_back(RowCounts(outcome.truth_offsets, sums.back().options()));
    candidates_of.push_back(RowCounts(outcome.offsets, sums.back().options()));
  }
  const at::Tensor all = at::stack(sums);  // [levels, B, 3]
  const at::Tensor both = all.select(2, 0), predicted = all.select(2, 1), correct = all.select(2, 2);
  const at::Tensor actual = at::stack(actual_of), candidates = at::stack(candidates_of);
  return {{"struct-acc", (correct / candidates.clamp_min(1)).sum(1)},
          {"iou", (both / (predicted + actual - both + kIouEpsilon)).sum(1)},
          {"precision", (both / predicted.clamp_min(1)).sum(1)},
          {"recall", (both / actual.clamp_min(1)).sum(1)},
          {"candidates", candidates.sum(1)}};
}

struct ClassMetrics {
  at::Tensor accuracy, mean_iou;  // sums over samples
};

// Accuracy, and IoU of the classes that occur, over predicted voxels that are occupied in truth.
ClassMetrics MatchedClasses(const Outcome& outcome) {
  if (!outcome.semantic_logits.defined() || outcome.labels.size(0) == 0) {
    const at::Tensor zero = at::zeros({}, outcome.labels.options().dtype(at::kDouble));
    return {zero, zero};
  }
  const at::Tensor& row = outcome.truth_row;
  const at::Tensor classes = at::arange(outcome.semantic_logits.size(1), row.options());
  const at::Tensor matched = row.ge(0).unsqueeze(1);
  // [N, classes] each, and sums [B, classes].
  const at::Tensor is_predicted = outcome.semantic_logits.argmax(1, /*keepdim=*/true).eq(classes).logical_and_(matched);
  const at::Tensor is_actual =
      outcome.labels.index_select(0, row.clamp_min(0)).unsqueeze(1).eq(classes).logical_and_(matched);
  const auto count = [&](const at::Tensor& of) { return SumPerSample(of, outcome.predicted_offsets, at::kDouble); };
  const at::Tensor both = count(is_actual.logical_and(is_predicted)), of_class = count(is_actual);
  const at::Tensor either = of_class + count(is_predicted) - both;
  const at::Tensor occurs = either.gt(0).to(at::kDouble);
  return {(both.sum(1) / of_class.sum(1).clamp_min(1)).sum(),
          ((both / either.clamp_min(1)).sum(1) / occurs.sum(1).clamp_min(1)).sum()};
}

MetricTable MetricsOf(const Outcome& outcome) {
  const at::NoGradGuard no_gradients;
  const auto count = static_cast<double>(outcome.samples());
  const at::Tensor samples = at::full({}, count, outcome.total.options().dtype(at::kDouble));
  MetricTable metrics;
  const auto add = [&](const std::string& name, const at::Tensor& sum) { metrics.Add(name, sum, samples); };
  const auto of_levels = StructureMetrics(outcome.levels);
  for (size_t l = 0; l < outcome.levels.size(); ++l) {
    const std::string suffix = "-" + std::to_string(outcome.levels[l].level);
    add("loss/struct" + suffix, outcome.levels[l].term);
    for (const auto& [name, values] : of_levels) {
      add("metric/" + name + suffix, values.select(0, static_cast<int64_t>(l)));
    }
  }
  add("loss/semantic_-1", outcome.semantic_term);
  add("loss/kld", outcome.latent_term);
  const at::Tensor divergence = outcome.divergence.sum();
  add("loss/mu-0", outcome.mean.mean() * count);
  add("loss/logvar-0", outcome.log_variance.mean() * count);
  add("loss/kld-true-0", divergence * (count / static_cast<double>(outcome.divergence.size(0))));
  add("loss/kld-total-0", divergence);
  const ClassMetrics classes = MatchedClasses(outcome);
  add("metric/semantic-acc", classes.accuracy);
  add("metric/miou", classes.mean_iou);
  add("loss/sum", outcome.total);
  return metrics;
}

}  // namespace

absl::StatusOr<VoxelVaeLoss> ComputeVoxelVaeLoss(const VoxelVaeLossOptions& options, const VoxelPyramid& truth,
                                                 const at::Tensor& labels, const Latent& latent,
                                                 const Reconstruction& reconstruction) {
  const VoxelGrid& finest = truth.grids[0];
  const int64_t samples = finest.batch_size();
  const auto scopes_of = [&](const std::vector<int64_t>& offsets) {
    return ScopesOf(offsets, options.batch_mean_over_voxels);
  };
  Outcome outcome;
  at::Tensor total;
  // Returns the term without its gradient.
  const auto add_term = [&](double weight, const at::Tensor& values, const at::Tensor& row_weight,
                            const std::vector<int64_t>& offsets) {
    const at::Tensor term = TermOf(weight, values, row_weight, scopes_of(offsets), samples);
    total = total.defined() ? total + term : term;
    return term.detach();
  };

  for (const StructureLevel& structure : reconstruction.structure) {
    const VoxelGrid& truth_grid = truth.grids[structure.level];
    const std::vector<int64_t>& offsets = structure.candidates.offsets();
    ASSIGN_OR_RETURN(const at::Tensor truth_row, Lookup(truth_grid, structure.ijk, offsets));
    const at::Tensor is_true = truth_row.ge(0);
    const at::Tensor cross_entropy = CrossEntropy(structure.logits, truth_row.lt(0).to(at::kLong));
    at::Tensor row_weight;
    if (options.adaptive_structure_weight) {
      row_weight = AdaptiveWeight(is_true, scopes_of(offsets)).to(cross_entropy.scalar_type());
    }
    outcome.levels.push_back({structure.level, add_term(options.structure_weight, cross_entropy, row_weight, offsets),
                              structure.occupied, is_true, structure.logits.detach(), offsets,
                              truth_grid.host_offsets});
  }

  const VoxelGrid& predicted = reconstruction.grid;
  at::Tensor cross_entropy = at::zeros({0}, latent.mean.options().requires_grad(false));
  if (predicted.num_voxels() > 0) {
    ASSIGN_OR_RETURN(const at::Tensor nearest, NearestVoxel(finest, predicted));
    cross_entropy = CrossEntropy(reconstruction.semantic_logits, labels.index_select(0, nearest));
    outcome.semantic_logits = reconstruction.semantic_logits.detach();
    ASSIGN_OR_RETURN(outcome.truth_row, Lookup(finest, predicted.ijk, predicted.host_offsets));
  }
  outcome.semantic_term = add_term(options.semantic_weight, cross_entropy, at::Tensor(), predicted.host_offsets);

  std::vector<int64_t> cells;
  for (int64_t b = 0; b <= samples; ++b) cells.push_back(b * (latent.divergence.size(0) / samples));
  outcome.latent_term = add_term(options.kl_weight, latent.divergence, at::Tensor(), cells);

  outcome.mean = latent.mean.detach();
  outcome.log_variance = latent.log_variance.detach();
  outcome.divergence = latent.divergence.detach();
  outcome.predicted_offsets = predicted.host_offsets;
  outcome.labels = labels;
  outcome.total = total.detach();
  return VoxelVaeLoss{total, [outcome = std::move(outcome)] { return MetricsOf(outcome); }};
}

}  // namespace cubist
