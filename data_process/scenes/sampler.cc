#include "data_process/scenes/sampler.h"

#include <algorithm>
#include <utility>

#include "base/philox.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr uint64_t kRounds = 8;

}  // namespace

uint64_t KeyedPermutation(uint32_t seed, uint64_t epoch, uint64_t size, uint64_t index) {
  // Both halves have `bits` bits, so that at most four steps along the cycle are expected.
  int bits = 1;
  while (bits < 32 && (uint64_t{1} << (2 * bits)) < size) ++bits;
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const PhiloxKey key(seed, RandomPurpose::kClipOrder);
  uint64_t value = index;
  do {
    uint64_t left = value >> bits, right = value & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (Philox(key, epoch, (round << 32) | right)[0] & mask);
      left = right;
      right = mixed;
    }
    value = (left << bits) | right;
  } while (value >= size);
  return value;
}

absl::StatusOr<TrainingSampler> TrainingSampler::Create(std::vector<std::string> clips, const Data& data,
                                                        uint32_t seed) {
  if (clips.empty()) {
    return DataError(
        "data: there is no clip to train on; name some in data.train_clips, or lower data.validation_fraction");
  }
  int64_t largest_offset = 0;
  for (const auto* offsets : {&data.input_frame_offsets(), &data.supervision_frame_offsets()}) {
    for (int64_t offset : *offsets) {
      if (offset < 0) {
        return ConfigError("data.input_frame_offsets and data.supervision_frame_offsets must not be negative, found " +
                           std::to_string(offset));
      }
      largest_offset = std::max(largest_offset, offset);
    }
  }
  TrainingSampler sampler;
  sampler.clips_ = std::move(clips);
  sampler.first_start_ = data.frame_start();
  sampler.last_start_ = data.frame_end() - largest_offset - 1;
  sampler.seed_ = seed;
  if (sampler.last_start_ < sampler.first_start_) {
    return ConfigError("data.frame_start = " + std::to_string(data.frame_start()) +
                       " leaves no start frame: the last one is data.frame_end - largest frame offset - 1 = " +
                       std::to_string(data.frame_end()) + " - " + std::to_string(largest_offset) +
                       " - 1 = " + std::to_string(sampler.last_start_));
  }
  return sampler;
}

SceneDraw TrainingSampler::At(uint64_t draw) const {
  const uint64_t epoch = draw / samples_per_epoch();
  const uint64_t pair = KeyedPermutation(seed_, epoch, samples_per_epoch(), draw % samples_per_epoch());
  const uint64_t starts = static_cast<uint64_t>(last_start_ - first_start_ + 1);
  return {clips_[pair / starts], first_start_ + static_cast<int64_t>(pair % starts), draw, epoch};
}

std::vector<SceneDraw> ValidationSamples(const std::vector<std::string>& clips, const Data& data, int64_t max_samples) {
  std::vector<SceneDraw> samples;
  for (const std::string& clip : clips) {
    if (max_samples > 0 && static_cast<int64_t>(samples.size()) >= max_samples) break;
    samples.push_back({clip, data.validation_start_frame(), samples.size(), 0});
  }
  return samples;
}

}  // namespace cubist
