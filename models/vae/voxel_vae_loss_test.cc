#include "models/vae/voxel_vae_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/latent_sample/latent_sample_torch.h"

namespace cubist {
namespace {

using Voxels = std::vector<std::array<int, 3>>;

VoxelVaeOptions TwoLevels() {
  VoxelVaeOptions options;
  options.num_levels = 2;
  options.pool_height_levels = {};
  options.num_semantic = 3;
  options.voxel_size = 1;
  return options;
}

at::Tensor Coordinates(const Voxels& voxels) {
  at::Tensor ijk = at::zeros({static_cast<int64_t>(voxels.size()), 3}, at::kInt);
  for (size_t i = 0; i < voxels.size(); ++i) {
    for (int d = 0; d < 3; ++d) ijk.data_ptr<int32_t>()[3 * i + d] = voxels[i][d];
  }
  return ijk;
}

VoxelGrid Grid(const Voxels& voxels, const std::vector<int64_t>& offsets, const GridTransform& transform) {
  return *GridFromIjk(Coordinates(voxels), offsets, transform);
}

at::Tensor Doubles(const std::vector<double>& values, at::IntArrayRef shape) {
  at::Tensor tensor = at::zeros(shape, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.data_ptr<double>());
  return tensor;
}

// -log softmax of the entry at `target`.
double CrossEntropy(const std::vector<double>& logits, size_t target) {
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  return std::log(sum) - logits[target];
}

// Two samples. Truth: sample 0 has (0,0,0) of class 1 and (1,0,0) of class 2; sample 1 has (4,4,4) of class 0.
// Candidates of level 0: three in sample 0, one in sample 1, which is predicted empty.
struct Case {
  VoxelVaeOptions options = TwoLevels();
  GridTransform transform = options.TransformAt(0);
  VoxelGrid truth = Grid({{0, 0, 0}, {1, 0, 0}, {4, 4, 4}}, {0, 2, 3}, transform);
  at::Tensor labels = at::tensor({1, 2, 0}, at::kLong);
  Latent latent = MakeLatent();
  Reconstruction reconstruction = MakeReconstruction();

  static Latent MakeLatent() {
    const at::Tensor moments = Doubles({0.5, 0, -1, 0.1, 0.25, -0.2, 0, 0.3}, {4, 2});
    auto [sample, divergence] = LatentSample(moments, std::nullopt);
    return {moments.narrow(1, 0, 1), moments.narrow(1, 1, 1), sample, divergence};
  }

  Reconstruction MakeReconstruction() const {
    Reconstruction result;
    const VoxelGrid coarse = Grid({{0, 0, 0}, {2, 2, 4}}, {0, 1, 2}, options.TransformAt(1));
    result.structure.push_back({1, *VoxelDomain::Sparse(coarse), coarse.ijk, Doubles({2, 1, 0, 3}, {2, 2}),
                                at::tensor({1, 0}, at::kInt).to(at::kBool)});
    const VoxelGrid fine = Grid({{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {4, 4, 4}}, {0, 3, 4}, transform);
    result.structure.push_back({0, *VoxelDomain::Sparse(fine), fine.ijk, Doubles({1, 0, -1, 0.5, 2, 0, 0, 1}, {4, 2}),
                                at::tensor({1, 0, 1, 0}, at::kInt).to(at::kBool)});
    result.grid = Grid({{0, 0, 0}, {1, 1, 0}}, {0, 2, 2}, transform);
    result.semantic_logits = Doubles({0.1, 0.7, 0.2, 1, 0, 2}, {2, 3});
    return result;
  }

  std::map<std::string, double> Metrics(const VoxelVaeLossOptions& loss_options) const {
    const VoxelVaeLoss loss =
        *ComputeVoxelVaeLoss(loss_options, *MakeVoxelPyramid(options, truth), labels, latent, reconstruction);
    const MetricTable table = loss.metrics();
    const at::Tensor sums = table.Sums();
    std::map<std::string, double> metrics;
    for (size_t i = 0; i < table.names().size(); ++i) {
      metrics[table.names()[i]] = sums[0][i].item<double>();
      EXPECT_EQ(sums[1][i].item<double>(), 2) << "every metric counts both samples";
    }
    EXPECT_NEAR(metrics["loss/sum"], loss.total.item<double>(), 1e-12);
    return metrics;
  }
};

TEST(VoxelVaeLossTest, TermsAreMeansOverEachSamplesOwnVoxels) {
  const Case test;
  auto metrics = test.Metrics({});
  const double structure0 =
      (CrossEntropy({1, 0}, 0) + CrossEntropy({-1, 0.5}, 0) + CrossEntropy({2, 0}, 1)) / 3 + CrossEntropy({0, 1}, 0);
  EXPECT_NEAR(metrics["loss/struct-0"], 20 * structure0, 1e-9);
  EXPECT_NEAR(metrics["loss/struct-1"], 20 * (CrossEntropy({2, 1}, 0) + CrossEntropy({0, 3}, 0)), 1e-9);
  // (1,1,0) takes the label of (1,0,0). Sample 1 predicts nothing: its term is 0.
  EXPECT_NEAR(metrics["loss/semantic_-1"], 20 * (CrossEntropy({0.1, 0.7, 0.2}, 1) + CrossEntropy({1, 0, 2}, 2)) / 2,
              1e-9);
  double divergence = 0;
  const double mean[] = {0.5, -1, 0.25, 0}, log_variance[] = {0, 0.1, -0.2, 0.3};
  for (int i = 0; i < 4; ++i) {
    divergence += -0.5 * (1 + log_variance[i] - mean[i] * mean[i] - std::exp(log_variance[i]));
  }
  EXPECT_NEAR(metrics["loss/kld"], 0.03 * divergence / 2, 1e-12) << "two cells a sample";
  EXPECT_NEAR(metrics["loss/kld-total-0"], divergence, 1e-12);
  EXPECT_NEAR(metrics["loss/mu-0"], 2 * (0.5 - 1 + 0.25) / 4, 1e-12);
}

TEST(VoxelVaeLossTest, TheReferenceAveragesOverTheBatch) {
  const Case test;
  VoxelVaeLossOptions options;
  options.batch_mean_over_voxels = true;
  auto metrics = test.Metrics(options);
  const double sum =
      CrossEntropy({1, 0}, 0) + CrossEntropy({-1, 0.5}, 0) + CrossEntropy({2, 0}, 1) + CrossEntropy({0, 1}, 0);
  EXPECT_NEAR(metrics["loss/struct-0"], 20 * sum / 4 * 2, 1e-9) << "the batch's mean, once for each sample";
}

TEST(VoxelVaeLossTest, AdaptiveWeightFollowsTheShareOfOccupiedCandidates) {
  const Case test;
  VoxelVaeLossOptions options;
  options.adaptive_structure_weight = true;
  auto metrics = test.Metrics(options);
  // Sample 0: three candidates, two occupied: their weight is 1.5. Sample 1: one of one.
  const double first = (1.5 * CrossEntropy({1, 0}, 0) + 1.5 * CrossEntropy({-1, 0.5}, 0) + CrossEntropy({2, 0}, 1)) / 4;
  EXPECT_NEAR(metrics["loss/struct-0"], 20 * (first + CrossEntropy({0, 1}, 0)), 1e-6);
}

TEST(VoxelVaeLossTest, MetricsOfStructureAndClasses) {
  const Case test;
  auto metrics = test.Metrics({});
  EXPECT_NEAR(metrics["metric/struct-acc-0"], 1.0 / 3 + 0, 1e-9);
  EXPECT_NEAR(metrics["metric/iou-0"], 1.0 / 3, 1e-6) << "sample 0: one in both, two predicted, two true";
  EXPECT_NEAR(metrics["metric/precision-0"], 0.5, 1e-9);
  EXPECT_NEAR(metrics["metric/recall-0"], 0.5, 1e-9);
  EXPECT_EQ(metrics["metric/candidates-0"], 4);
  EXPECT_NEAR(metrics["metric/iou-1"], 1, 1e-5);
  EXPECT_NEAR(metrics["metric/semantic-acc"], 1, 1e-9) << "(0,0,0) is matched, and its class is right";
  EXPECT_NEAR(metrics["metric/miou"], 1, 1e-9);
}

TEST(VoxelVaeLossTest, NothingPredictedIsNoError) {
  Case test;
  test.reconstruction.grid = Grid({}, {0, 0, 0}, test.transform);
  test.reconstruction.semantic_logits = at::Tensor();
  auto metrics = test.Metrics({});
  EXPECT_EQ(metrics["loss/semantic_-1"], 0);
  EXPECT_EQ(metrics["metric/miou"], 0);
}

}  // namespace
}  // namespace cubist
