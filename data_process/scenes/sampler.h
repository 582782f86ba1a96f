// The order of training samples as a pure function: draw n (samples consumed so far in the run, over all
// ranks) is clip and start frame, whatever the workers, ranks and prefetching. Nothing is stored, so a
// checkpoint needs only n.
#ifndef CUBIST_DATA_PROCESS_SCENES_SAMPLER_H_
#define CUBIST_DATA_PROCESS_SCENES_SAMPLER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// What a scene reader is asked for.
struct SceneDraw {
  std::string clip;
  int64_t start_frame = 0;
  uint64_t draw = 0;   // n; in a validation set, the position in it
  uint64_t epoch = 0;  // draw / samples_per_epoch; 0 in a validation set
};

// The image of `index` in [0, size) under a permutation of that range, keyed by the seed and the epoch: a
// balanced Feistel network (Luby and Rackoff, "How to construct pseudorandom permutations", 1988; eight
// rounds, because the halves may be a few bits) over the smallest power of four that holds `size`, walked
// along its cycle until it falls into the range (Black and Rogaway, "Ciphers with arbitrary finite
// domains", 2002). index < size <= 2^63.
uint64_t KeyedPermutation(uint32_t seed, uint64_t epoch, uint64_t size, uint64_t index);

class TrainingSampler {
 public:
  // Start frames go from data.frame_start to last_start = data.frame_end - (largest offset of input and
  // supervision frames) - 1, both included. ConfigError when that leaves none or an offset is negative;
  // DataError when there is no clip.
  static absl::StatusOr<TrainingSampler> Create(std::vector<std::string> clips, const Data& data, uint32_t seed);

  // Every (clip, start frame) falls exactly once into each epoch.
  SceneDraw At(uint64_t draw) const;

  uint64_t samples_per_epoch() const { return clips_.size() * static_cast<uint64_t>(last_start_ - first_start_ + 1); }
  int64_t first_start() const { return first_start_; }
  int64_t last_start() const { return last_start_; }

 private:
  TrainingSampler() = default;

  std::vector<std::string> clips_;
  int64_t first_start_ = 0;
  int64_t last_start_ = 0;
  uint32_t seed_ = 0;
};

// Every clip once, in order, at data.validation_start_frame; the first `max_samples` of them when that
// is above 0.
std::vector<SceneDraw> ValidationSamples(const std::vector<std::string>& clips, const Data& data, int64_t max_samples);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_SAMPLER_H_
