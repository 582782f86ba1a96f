// R4, R12 and R13 of the reference's flaws (R4: gradients that are not finite still moved the momentum; R12: frames and
// crops came from the process's random numbers; R13: names of averages were made by deleting dots).
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_ops.h"
#include "base/philox.h"
#include "data_process/scenes/sampler.h"
#include "kernels/random_normal/random_normal_torch.h"
#include "models/nn/layers.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {
namespace {

FlatOptimizerOptions Everything() {
  FlatOptimizerOptions options;
  options.adamw.amsgrad = true;
  options.adamw.weight_decay = 0.01;
  options.schedule.initial = 0.1;
  options.schedule.decay_factor = 0.5;
  options.schedule.decay_samples = 1;  // another learning rate after each step
  options.schedule.samples_per_step = 1;
  options.ema_decay = 0.9;
  options.clip_value = 0.5;
  return options;
}

// The bytes of all that a checkpoint would hold, by name.
std::map<std::string, std::string> Bytes(const FlatOptimizer& optimizer) {
  std::map<std::string, std::string> bytes;
  const HostOptimizerState state = CopyOptimizer(optimizer, optimizer.Groups());
  for (const TensorGroup& group : state.groups) {
    for (size_t i = 0; i < group.tensors.size(); ++i) {
      const TensorSource& tensor = group.tensors[i];
      size_t size = SizeOf(tensor.dtype);
      for (const int64_t extent : tensor.shape) size *= static_cast<size_t>(extent);
      bytes[group.name + "/" + tensor.name] = std::string(static_cast<const char*>(tensor.data), size);
    }
  }
  return bytes;
}

void TakeStep(const Linear& layer, FlatOptimizer& optimizer, double poison, int64_t at) {
  optimizer.ZeroGradient();
  layer.Forward(at::ones({1, 3}, at::kDouble)).sum().backward();
  if (at >= 0) optimizer.gradient()[at].fill_(poison);
  optimizer.Step(at::full({1}, 1.0, at::kDouble), at::full({1}, true, at::kBool));
}

TEST(ReferenceFlawsTest, R04_ASkippedStepLeavesEveryBitAsItWas) {
  const double kinds[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity()};
  int cases = 0;
  for (const double poison : kinds) {
    for (int64_t at = 0; at < 6; ++at) {  // each element of the weight
      Linear skipping(3, 2), never(3, 2);
      InitializeParameters(skipping, 5);
      InitializeParameters(never, 5);
      FlatOptimizer optimizer(skipping.Parameters(), Everything(), at::kDouble, at::kCPU);
      FlatOptimizer untouched(never.Parameters(), Everything(), at::kDouble, at::kCPU);
      TakeStep(skipping, optimizer, 0, -1);
      TakeStep(never, untouched, 0, -1);
      const auto before = Bytes(optimizer);
      const double learning_rate = optimizer.LearningRateOfStep(optimizer.steps().item<int64_t>());
      TakeStep(skipping, optimizer, poison, at);
      EXPECT_EQ(Bytes(optimizer), before);
      EXPECT_EQ(optimizer.LearningRateOfStep(optimizer.steps().item<int64_t>()), learning_rate);
      // Nor can any later step tell: it is that of a run in which there was no such step.
      TakeStep(skipping, optimizer, 0, -1);
      TakeStep(never, untouched, 0, -1);
      EXPECT_EQ(Bytes(optimizer), Bytes(untouched));
      EXPECT_NE(Bytes(optimizer), before);
      ++cases;
    }
  }
  RecordProperty("cases", cases);
}

TEST(ReferenceFlawsTest, R12_RanksShareTheDrawsOfAStepAndTakeNoneTwice) {
  Data data;
  data.set_frame_start(2);
  data.set_frame_end(9);
  data.add_input_frame_offsets(0);
  const auto sampler = TrainingSampler::Create({"a", "b", "c", "d", "e"}, data, 3);
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const std::pair<int, int> batches[] = {{1, 1}, {2, 1}, {1, 3}, {2, 2}};
  for (const auto& [per_gpu, accumulate] : batches) {
    for (const int world_size : {1, 2, 4}) {
      std::set<uint64_t> draws;
      std::set<std::pair<std::string, int64_t>> samples;
      for (int rank = 0; rank < world_size; ++rank) {
        Batch batch;
        batch.set_per_gpu(per_gpu);
        batch.set_accumulate(accumulate);
        const auto shape = MakeBatchShape(batch, rank, world_size);
        ASSERT_TRUE(shape.ok()) << shape.status();
        // batch_source.h: micro-batch a of rank r takes per_gpu draws from (a * world_size + r) * per_gpu on.
        for (int64_t a = 0; a < shape->accumulate; ++a) {
          for (int64_t i = 0; i < shape->per_gpu; ++i) {
            const uint64_t n = static_cast<uint64_t>((a * world_size + rank) * shape->per_gpu + i);
            const SceneDraw draw = sampler->At(n);
            EXPECT_TRUE(draws.insert(n).second) << n;
            EXPECT_TRUE(samples.emplace(draw.clip, draw.start_frame).second) << n;
          }
        }
        EXPECT_EQ(shape->global(), per_gpu * accumulate * world_size);
      }
      EXPECT_EQ(draws.size(), static_cast<size_t>(per_gpu * accumulate * world_size));
      EXPECT_EQ(*draws.rbegin() + 1, draws.size()) << "the first draws, without a gap";
    }
  }
}

TEST(ReferenceFlawsTest, R12_RandomNumbersOfTheProcessAreNotTouched) {
  const auto everything = [] {
    Linear layer(3, 2);
    InitializeParameters(layer, 5);
    const at::Tensor draws = at::ones({2}, at::kLong);
    return RandomNormal({2, 3, 4}, 7, RandomPurpose::kLatentNoise, draws, at::kDouble).sum().item<double>() +
           layer.Parameters()[0].value.detach().sum().item<double>() +
           PhiloxUniform({7, RandomPurpose::kCropJitter}, 1, 2);
  };
  std::srand(1);
  const int expected = std::rand();
  const at::Generator& generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor before = generator.get_state().clone();
  std::srand(1);
  const double first = everything();
  EXPECT_EQ(std::rand(), expected);
  EXPECT_TRUE(generator.get_state().equal(before));
  // And they touch nothing of ours.
  std::srand(99);
  at::Generator(generator).set_current_seed(99);
  EXPECT_EQ(everything(), first);
}

// Children "a" with "b1", "ab" with "1", "a" with "b" with "1": all of them "ab1" to the reference.
class Names : public Module {
 public:
  struct Leaf : Module {
    explicit Leaf(const std::string& name, double value) {
      RegisterParameter(name, {2}, Initialization::Constant(value));
    }
  };
  struct Branch : Module {
    Branch() : leaf("1", 3) { RegisterModule("b", leaf); }
    Leaf leaf;
  };
  Names() : first_("b1", 1), second_("1", 2) {
    RegisterModule("a", first_);
    RegisterModule("ab", second_);
    RegisterModule("a", third_);
    RegisterParameter("ab1", {2}, Initialization::Constant(4));
  }

 private:
  Leaf first_, second_;
  Branch third_;
};

TEST(ReferenceFlawsTest, R13_NamesInCheckpointsAreInjective) {
  const Names module;
  InitializeParameters(module, 0);
  const FlatOptimizer optimizer(module.Parameters(), Everything(), at::kFloat, at::kCPU);
  const HostOptimizerState state = CopyOptimizer(optimizer, optimizer.Groups());
  CheckpointContents contents;
  contents.groups = state.groups;
  contents.state.set_step(1);
  const std::string folder = ::testing::TempDir() + "/names";
  std::filesystem::remove_all(folder);
  CheckpointStore store(SystemFileOps(), folder);
  const auto report = store.Save(contents);
  ASSERT_TRUE(report.ok()) << report.status();
  const auto checkpoint = store.Load(1);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const std::map<std::string, float> expected = {{"a.b1", 1}, {"ab.1", 2}, {"a.b.1", 3}, {"ab1", 4}};
  for (const char* group : {"model", "ema"}) {
    ASSERT_EQ(checkpoint->Tensors(group).size(), expected.size()) << group;
    for (const auto& [name, value] : expected) {
      const auto tensor = checkpoint->Read(group, name);
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_EQ(tensor->data<float>()[0], value) << group << " " << name;
    }
  }
  for (const auto& [name, value] : expected) EXPECT_TRUE(checkpoint->Read("optimizer", "exp_avg." + name).ok()) << name;
}

}  // namespace
}  // namespace cubist
