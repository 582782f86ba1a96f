#include "data_process/scenes/sampler.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

Data Frames(int start, int end, const std::vector<int>& input, const std::vector<int>& supervision) {
  Data data;
  data.set_frame_start(start);
  data.set_frame_end(end);
  for (int offset : input) data.add_input_frame_offsets(offset);
  for (int offset : supervision) data.add_supervision_frame_offsets(offset);
  return data;
}

TEST(KeyedPermutation, IsABijectionOfEverySize) {
  for (uint64_t size : {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4097}) {
    for (uint64_t epoch : {0, 1, 12345}) {
      std::vector<bool> hit(size, false);
      for (uint64_t i = 0; i < size; ++i) {
        const uint64_t image = KeyedPermutation(7, epoch, size, i);
        ASSERT_LT(image, size);
        ASSERT_FALSE(hit[image]) << "size " << size << ", epoch " << epoch;
        hit[image] = true;
      }
    }
  }
}

// The order is part of what a checkpoint means. The numbers are from a second implementation, in Python.
TEST(KeyedPermutation, NeverChanges) {
  const uint64_t expected[] = {177, 701, 633, 315, 81, 874, 135, 437};
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(KeyedPermutation(7, 3, 1000, i), expected[i]);
  EXPECT_EQ(KeyedPermutation(0, 0, 616 * 140, 3), 24920u);
  EXPECT_EQ(KeyedPermutation(4294967295u, uint64_t{1} << 40, 1000000000000u, 999999999999u), 792302781179u);
}

TEST(KeyedPermutation, ChangesWithSeedAndEpoch) {
  constexpr uint64_t kSize = 1000;
  const auto fixed = [&](uint32_t seed_a, uint64_t epoch_a, uint32_t seed_b, uint64_t epoch_b) {
    int same = 0;
    for (uint64_t i = 0; i < kSize; ++i) {
      same += KeyedPermutation(seed_a, epoch_a, kSize, i) == KeyedPermutation(seed_b, epoch_b, kSize, i);
    }
    return same;
  };
  // Two random permutations agree at one place on average; 12 or more has a chance of 1e-9.
  EXPECT_LT(fixed(1, 0, 2, 0), 12);
  EXPECT_LT(fixed(1, 0, 1, 1), 12);
  EXPECT_EQ(fixed(1, 3, 1, 3), static_cast<int>(kSize));
  // Nor is it near the identity, and neighbours go apart.
  int fixed_points = 0, neighbours = 0;
  for (uint64_t i = 0; i + 1 < kSize; ++i) {
    fixed_points += KeyedPermutation(1, 0, kSize, i) == i;
    neighbours += KeyedPermutation(1, 0, kSize, i + 1) == KeyedPermutation(1, 0, kSize, i) + 1;
  }
  EXPECT_LT(fixed_points, 12);
  EXPECT_LT(neighbours, 12);
}

TEST(KeyedPermutation, EveryOrderOfThreeComesAboutEquallyOften) {
  std::map<std::vector<uint64_t>, int> counts;
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) {
    ++counts[{KeyedPermutation(5, epoch, 3, 0), KeyedPermutation(5, epoch, 3, 1), KeyedPermutation(5, epoch, 3, 2)}];
  }
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 250);
}

TEST(TrainingSampler, LastStartsOfTheRecipes) {
  struct {
    int end;
    std::vector<int> input, supervision;
    int last;
  } const cases[] = {{155, {0}, {0}, 154},
                     {110, {0}, {0}, 109},
                     {155, {0, 10, 20, 30}, {0, 5, 40}, 114},
                     {155, {0}, {0, 2, 5, 7, 10}, 144}};
  for (const auto& c : cases) {
    const auto sampler = TrainingSampler::Create({"a", "b"}, Frames(15, c.end, c.input, c.supervision), 0);
    ASSERT_TRUE(sampler.ok()) << sampler.status();
    EXPECT_EQ(sampler->last_start(), c.last);
    EXPECT_EQ(sampler->samples_per_epoch(), 2u * static_cast<unsigned>(c.last - 15 + 1));
  }
}

TEST(TrainingSampler, EachEpochHoldsEveryPairOnce) {
  const auto sampler = TrainingSampler::Create({"a", "b", "c"}, Frames(2, 9, {0, 1}, {}), 3);
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const uint64_t epoch_size = sampler->samples_per_epoch();
  ASSERT_EQ(epoch_size, 3u * 6u);  // start frames 2 to 7
  std::vector<std::vector<std::pair<std::string, int64_t>>> orders;
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<std::pair<std::string, int64_t>> seen;
    orders.emplace_back();
    for (uint64_t i = 0; i < epoch_size; ++i) {
      const SceneDraw draw = sampler->At(epoch * epoch_size + i);
      EXPECT_EQ(draw.epoch, epoch);
      EXPECT_EQ(draw.draw, epoch * epoch_size + i);
      EXPECT_GE(draw.start_frame, 2);
      EXPECT_LE(draw.start_frame, 7);
      EXPECT_TRUE(seen.emplace(draw.clip, draw.start_frame).second);
      orders.back().emplace_back(draw.clip, draw.start_frame);
    }
    EXPECT_EQ(seen.size(), epoch_size);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(TrainingSampler, SaysWhyItCannotDraw) {
  const auto no_clip = TrainingSampler::Create({}, Frames(15, 155, {0}, {0}), 0);
  EXPECT_EQ(ExitCodeOf(no_clip.status()), ExitCode::kData);
  const auto no_frame = TrainingSampler::Create({"a"}, Frames(15, 50, {0}, {40}), 0);
  EXPECT_EQ(ExitCodeOf(no_frame.status()), ExitCode::kConfig);
  EXPECT_NE(no_frame.status().message().find("50 - 40 - 1 = 9"), std::string::npos) << no_frame.status();
  const auto negative = TrainingSampler::Create({"a"}, Frames(15, 50, {-1}, {}), 0);
  EXPECT_EQ(ExitCodeOf(negative.status()), ExitCode::kConfig);
}

TEST(ValidationSamples, AreTheClipsInOrder) {
  Data data;
  data.set_validation_start_frame(50);
  const std::vector<std::string> clips = {"z", "a", "m"};
  const auto all = ValidationSamples(clips, data, 0);
  ASSERT_EQ(all.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i].clip, clips[i]);
    EXPECT_EQ(all[i].start_frame, 50);
    EXPECT_EQ(all[i].draw, i);
  }
  EXPECT_EQ(ValidationSamples(clips, data, 2).size(), 2u);
  EXPECT_EQ(ValidationSamples(clips, data, 9).size(), 3u);
}

}  // namespace
}  // namespace cubist
