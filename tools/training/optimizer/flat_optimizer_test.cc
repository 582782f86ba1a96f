#include "tools/training/optimizer/flat_optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/nn/layers.h"

namespace cubist {
namespace {

FlatOptimizerOptions Options() {
  FlatOptimizerOptions options;
  options.adamw.amsgrad = true;
  options.schedule.initial = 0.1;
  options.ema_decay = 0.9;
  options.clip_value = 0.5;
  return options;
}

at::Tensor Samples(double count) { return at::full({1}, count, at::kDouble); }
at::Tensor Proceed(bool proceed) { return at::full({1}, proceed, at::kBool); }

// The sum of the outputs of a linear layer for an input of ones: every weight's gradient is 1.
void Backward(const Linear& layer) { layer.Forward(at::ones({1, 3}, at::kDouble)).sum().backward(); }

TEST(FlatOptimizerTest, ParametersKeepTheirValuesAndHandles) {
  Linear layer(3, 2);
  InitializeParameters(layer, 5);
  const at::Tensor before = layer.Parameters()[0].value.detach().clone().to(at::kDouble);
  FlatOptimizer optimizer(layer.Parameters(), Options(), at::kDouble, at::kCPU);
  EXPECT_TRUE(layer.Parameters()[0].value.detach().equal(before));
  EXPECT_EQ(optimizer.parameter_count(), 8);

  Backward(layer);
  Backward(layer);
  EXPECT_EQ(layer.Parameters()[0].value.grad().min().item<double>(), 2) << "gradients accumulate in flat storage";
  EXPECT_EQ(optimizer.gradient().sum().item<double>(), 16);

  optimizer.Step(Samples(2), Proceed(true));
  EXPECT_NEAR(optimizer.gradient_norm().item<double>(), std::sqrt(8.0), 1e-12) << "divided, not clamped";
  // The first AdamW step moves by the learning rate against the sign of the gradient.
  EXPECT_LT((layer.Parameters()[0].value.detach() - (before - 0.1)).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(optimizer.steps().item<int64_t>(), 1);
}

TEST(FlatOptimizerTest, AStepThatIsNotFiniteChangesNothing) {
  Linear layer(3, 2);
  InitializeParameters(layer, 5);
  FlatOptimizer optimizer(layer.Parameters(), Options(), at::kDouble, at::kCPU);
  Backward(layer);
  optimizer.Step(Samples(1), Proceed(true));
  std::vector<at::Tensor> before;
  for (const std::string& group : optimizer.Groups()) {
    for (const NamedTensor& tensor : optimizer.Group(group)) before.push_back(tensor.tensor.clone());
  }
  optimizer.ZeroGradient();
  Backward(layer);
  layer.Parameters()[1].value.mutable_grad().fill_(std::numeric_limits<double>::quiet_NaN());
  optimizer.Step(Samples(1), Proceed(true));
  EXPECT_FALSE(optimizer.taken().item<bool>());
  EXPECT_EQ(optimizer.steps().item<int64_t>(), 1);
  // Nor does one that is called off, whatever its gradient.
  optimizer.ZeroGradient();
  Backward(layer);
  optimizer.Step(Samples(1), Proceed(false));
  EXPECT_FALSE(optimizer.taken().item<bool>());
  optimizer.Step(Samples(0), Proceed(false));
  EXPECT_FALSE(optimizer.taken().item<bool>());
  size_t i = 0;
  for (const std::string& group : optimizer.Groups()) {
    for (const NamedTensor& tensor : optimizer.Group(group))
      EXPECT_TRUE(tensor.tensor.equal(before[i++])) << tensor.name;
  }
  EXPECT_EQ(i, before.size());
}

TEST(FlatOptimizerTest, RunningSumIsClampedOnlyWhenAsked) {
  for (const bool each : {false, true}) {
    Linear layer(3, 2);
    InitializeParameters(layer, 5);
    FlatOptimizerOptions options = Options();
    options.clip_each_micro_batch = each;
    options.clip_value = 0.1;
    FlatOptimizer optimizer(layer.Parameters(), options, at::kDouble, at::kCPU);
    Backward(layer);
    optimizer.BetweenMicroBatches(/*rank_batch=*/2);
    EXPECT_NEAR(layer.Parameters()[0].value.grad().max().item<double>(), each ? 0.2 : 1.0, 1e-12);
  }
}

}  // namespace
}  // namespace cubist
