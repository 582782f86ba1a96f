#include "tools/training/loop/batch_source.h"

#include <gtest/gtest.h>

#include "base/status.h"

namespace cubist {
namespace {

struct EmptyBatch : TaskBatch {
  std::string Describe() const override { return ""; }
  std::vector<at::Tensor> Tensors() const override { return {}; }
};

TEST(BatchShapeTest, AccumulationAsGiven) {
  Batch batch;
  batch.set_per_gpu(2);
  batch.set_accumulate(4);
  const BatchShape shape = *MakeBatchShape(batch, 1, 3);
  EXPECT_EQ(shape.of_rank(), 8);
  EXPECT_EQ(shape.global(), 24);
}

TEST(BatchShapeTest, AccumulationFollowsFromTheGlobalBatch) {
  Batch batch;
  batch.set_per_gpu(2);
  batch.set_global(16);
  EXPECT_EQ(MakeBatchShape(batch, 0, 1)->accumulate, 8);
  EXPECT_EQ(MakeBatchShape(batch, 0, 4)->accumulate, 2);
  EXPECT_EQ(ExitCodeOf(MakeBatchShape(batch, 0, 3).status()), ExitCode::kConfig);
}

TEST(BatchSourceTest, WaitingEndsWhenAskedTo) {
  std::atomic<bool> release{false};
  BatchSource::Stream::Options options;
  BatchSource source(options, [&release](uint64_t) -> absl::StatusOr<MicroBatch> {
    while (!release) std::this_thread::yield();
    return MicroBatch{std::make_shared<EmptyBatch>(), {}, {}};
  });
  const auto broken_off = source.Next([] { return true; });
  ASSERT_TRUE(broken_off.ok());
  EXPECT_FALSE(broken_off->has_value());
  release = true;
  EXPECT_NE((*source.Next([] { return false; }))->batch, nullptr);
}

}  // namespace
}  // namespace cubist
