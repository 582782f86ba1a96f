// F25: every operation with nothing to work on has a defined result and zero gradients: no rows, no voxels, no points,
// no triangles. A new operation of kernels/*/*_torch.h has to be added here. (Odd and single inputs: beside each
// operation.)
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include "base/philox.h"
#include "base/status.h"
#include "kernels/adamw/adamw_torch.h"
#include "kernels/cross_entropy/cross_entropy_torch.h"
#include "kernels/gather_rows/gather_rows_torch.h"
#include "kernels/group_norm/group_norm_torch.h"
#include "kernels/label_vote/label_vote_torch.h"
#include "kernels/latent_sample/latent_sample_torch.h"
#include "kernels/max_pool/max_pool_torch.h"
#include "kernels/mesh_voxels/mesh_voxels_torch.h"
#include "kernels/nearest_voxel/nearest_voxel_torch.h"
#include "kernels/random_normal/random_normal_torch.h"
#include "kernels/silu_add/silu_add_torch.h"
#include "kernels/sparse_conv/sparse_conv_torch.h"
#include "kernels/voxel_grid/voxel_grid_torch.h"

namespace cubist {
namespace {

at::Tensor Floats(at::IntArrayRef shape) { return at::ones(shape, at::kFloat).requires_grad_(true); }
at::Tensor Ints(at::IntArrayRef shape) { return at::zeros(shape, at::kInt); }
at::Tensor Longs(at::IntArrayRef shape) { return at::zeros(shape, at::kLong); }

// Two samples without a voxel, and one with a voxel each.
VoxelGrid NoVoxels() { return *GridFromIjk(Ints({0, 3}), {0, 0, 0}, GridTransform()); }
VoxelGrid OneVoxelEach() { return *GridFromIjk(Ints({2, 3}), {0, 1, 2}, GridTransform()); }

// `out` has this shape, and what led to it gets gradients of zero.
void ExpectNothing(const at::Tensor& out, std::vector<int64_t> shape, const std::vector<at::Tensor>& inputs = {}) {
  EXPECT_EQ(out.sizes().vec(), shape);
  if (inputs.empty()) return;
  out.sum().backward();
  for (const at::Tensor& input : inputs) {
    ASSERT_TRUE(input.grad().defined());
    EXPECT_EQ(input.grad().sizes(), input.sizes());
    EXPECT_EQ(input.grad().abs().sum().item<double>(), 0);
  }
}

const std::map<std::string, std::function<void()>>& Operations() {
  static const auto* const operations = new std::map<std::string, std::function<void()>>{
      {"GradientFiniteAndNorm",
       [] {
         const at::Tensor norm = at::ones({1}, at::kDouble), finite = at::zeros({1}, at::kBool);
         GradientFiniteAndNorm(at::zeros({0}), norm, finite);
         EXPECT_EQ(norm.item<double>(), 0);
         EXPECT_TRUE(finite.item<bool>());
       }},
      {"ClampGradient", [] { ClampGradient(at::zeros({0}), 1); }},
      {"ScaleGradient", [] { ScaleGradient(at::zeros({0}), at::full({1}, 0.5, at::kDouble)); }},
      {"AdamwStep",
       [] {
         const at::Tensor none = at::zeros({0}), step = Longs({1});
         AdamwStep(none, none.clone(), none.clone(), none.clone(), none.clone(), std::nullopt, step,
                   at::full({1}, true, at::kBool), {}, {}, 0);
         EXPECT_EQ(step.item<int64_t>(), 1) << "a step of a model without parameters is a step";
       }},
      {"CrossEntropy",
       [] {
         const at::Tensor logits = Floats({0, 23});
         ExpectNothing(CrossEntropy(logits, Longs({0})), {0}, {logits});
       }},
      {"GatherRows",
       [] {
         const at::Tensor x = Floats({0, 5}), rows = Floats({3, 5});
         ExpectNothing(GatherRows(x, Longs({0})), {0, 5}, {x});
         ExpectNothing(GatherRows(rows, Longs({0})), {0, 5}, {rows});
       }},
      {"GroupNorm",
       [] {
         const at::Tensor x = Floats({0, 4}), gamma = Floats({4}), beta = Floats({4});
         ExpectNothing(GroupNorm(x, {0, 0, 0}, gamma, beta, {2}), {0, 4}, {x, gamma, beta});
       }},
      {"GroupNormAndInput",
       [] {
         const at::Tensor x = Floats({0, 4}), gamma = Floats({4}), beta = Floats({4});
         const auto [y, again] = GroupNormAndInput(x, {0, 0, 0}, gamma, beta, {2});
         ExpectNothing(y.add(again), {0, 4}, {x, gamma, beta});
       }},
      {"LatentSample",
       [] {
         const at::Tensor moments = Floats({0, 16}), alone = Floats({0, 16});
         ExpectNothing(LatentSample(moments, at::zeros({0, 8})).first, {0, 8}, {moments});
         ExpectNothing(LatentSample(alone, std::nullopt).second, {0}, {alone});
       }},
      {"MaxPool",
       [] {
         const at::Tensor x = Floats({0, 4});
         ExpectNothing(MaxPool(x, Longs({0}), 0), {0, 4}, {x});
       }},
      {"SiluAdd",
       [] {
         const at::Tensor x = Floats({0, 4}), residual = Floats({0, 4});
         ExpectNothing(SiluAdd(x, residual), {0, 4}, {x, residual});
       }},
      {"SparseConv3d",
       [] {
         const at::Tensor x = Floats({0, 4}), weight = Floats({6, 4, 3, 3, 3}), bias = Floats({6});
         ExpectNothing(SparseConv3d(x, weight, *NeighborMap(NoVoxels()), bias), {0, 6}, {x, weight, bias});
       }},
      {"VoteLabels",
       [] {
         ExpectNothing(*VoteLabels(NoVoxels(), at::zeros({0, 3}), Ints({0}), {0, 0, 0}, 23, false), {0});
         // Voxels that nothing can vote for are no result but an error.
         EXPECT_EQ(ExitCodeOf(VoteLabels(OneVoxelEach(), at::zeros({0, 3}), Ints({0}), {0, 0, 0}, 23, false).status()),
                   ExitCode::kData);
       }},
      {"MeshVoxels",
       [] {
         ExpectNothing(*MeshVoxels(at::zeros({0, 3}), Ints({0, 3}), GridTransform()), {0, 3});
         ExpectNothing(*MeshVoxels(at::zeros({2, 3}), Ints({0, 3}), GridTransform()), {0, 3});
       }},
      {"NearestVoxel",
       [] {
         ExpectNothing(*NearestVoxel(NoVoxels(), NoVoxels()), {0});
         ExpectNothing(*NearestVoxel(OneVoxelEach(), NoVoxels()), {0});
         EXPECT_TRUE(NearestVoxel(NoVoxels(), OneVoxelEach())->equal(at::full({2}, -1, at::kLong)));
       }},
      {"RandomNormal",
       [] {
         ExpectNothing(RandomNormal({0, 3}, 1, RandomPurpose::kLatentNoise, Longs({0}), at::kFloat), {0, 3});
         ExpectNothing(RandomNormal({2, 0}, 1, RandomPurpose::kLatentNoise, Longs({2}), at::kFloat), {2, 0});
       }},
      {"FillUniform", [] { FillUniform(at::zeros({0}), 1, 2, 3); }},
      {"FillNormal", [] { FillNormal(at::zeros({0}), 1, 2, 3); }},
      {"CheckGrid", [] { EXPECT_TRUE(CheckGrid(NoVoxels(), "test").ok()); }},
      {"CheckCpuGrid", [] { EXPECT_TRUE(CheckCpuGrid(NoVoxels(), "test").ok()); }},
      {"GridFromIjk",
       [] {
         EXPECT_EQ(NoVoxels().num_voxels(), 0);
         EXPECT_EQ(NoVoxels().batch_size(), 2);
         EXPECT_EQ(GridFromIjk(Ints({0, 3}), {0}, GridTransform())->batch_size(), 0);
       }},
      {"GridFromPoints",
       [] {
         EXPECT_EQ(GridFromPoints(at::zeros({0, 3}), {0, 0}, GridTransform())->num_voxels(), 0);
       }},
      {"GridFromDenseMask",
       [] {
         const auto empty = GridFromDenseMask(at::zeros({2, 0, 4, 4}, at::kBool), {0, 0, 0}, GridTransform());
         EXPECT_EQ(empty->grid.num_voxels(), 0);
         ExpectNothing(empty->dense_index, {0});
       }},
      {"Coarsen",
       [] {
         ExpectNothing(Coarsen(NoVoxels(), {2, 2, 2})->parent, {0});
       }},
      {"Subdivide",
       [] {
         ExpectNothing(Subdivide(NoVoxels(), {2, 2, 2}, at::zeros({0}, at::kBool))->parent, {0});
         ExpectNothing(Subdivide(OneVoxelEach(), {2, 2, 2}, at::zeros({2}, at::kBool))->parent, {0});
       }},
      {"Lookup",
       [] {
         ExpectNothing(*Lookup(OneVoxelEach(), Ints({0, 3}), {0, 0, 0}), {0});
         EXPECT_TRUE(Lookup(NoVoxels(), Ints({2, 3}), {0, 1, 2})->equal(at::full({2}, -1, at::kLong)));
       }},
      {"DenseIndex",
       [] {
         ExpectNothing(*DenseIndex(NoVoxels(), {0, 0, 0}, {4, 4, 4}), {0});
       }},
      {"NeighborMap",
       [] {
         ExpectNothing(*NeighborMap(NoVoxels()), {27, 0});
       }},
  };
  return *operations;
}

TEST(EmptyInputsTest, EveryOperation) {
  for (const auto& [name, check] : Operations()) {
    SCOPED_TRACE(name);
    check();
  }
  RecordProperty("operations", static_cast<int>(Operations().size()));
}

TEST(EmptyInputsTest, NoOperationIsLeftOut) {
  const std::string kernels =
      std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") + "/kernels";
  const std::regex declaration(
      "(?:^|\n)(?:absl::StatusOr<[^\n]*>|absl::Status|at::Tensor|std::pair<[^\n]*>|void) (\\w+)\\(");
  std::set<std::string> declared, checked;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kernels)) {
    const std::string path = entry.path().string();
    if (path.size() < 8 || path.substr(path.size() - 8) != "_torch.h") continue;
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (std::sregex_iterator match(text.begin(), text.end(), declaration), end; match != end; ++match) {
      declared.insert((*match)[1]);
    }
  }
  for (const auto& [name, check] : Operations()) checked.insert(name);
  EXPECT_EQ(declared, checked);
}

}  // namespace
}  // namespace cubist
