// A row of random numbers for one purpose within one clip: a cursor over Philox (base/philox.h), so that
// what one part of a scene draws never shifts what another draws.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_RANDOM_STREAM_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_RANDOM_STREAM_H_

#include <array>
#include <cstdint>

#include "base/philox.h"

namespace cubist {

// The parts of a scene that draw. Points on the k-th surface use kSampling + k.
enum class SceneStream : uint32_t {
  kClipId = 1,
  kLayout = 2,
  kEgo = 3,
  kGround = 4,
  kBuildings = 5,
  kTrees = 6,
  kFurniture = 7,
  kParked = 8,
  kTraffic = 9,
  kObjectIds = 10,
  kMap = 11,
  kWeather = 12,
  kBackdrop = 13,
  kLooks = 14,
  kCaption = 15,
  kSampling = 1 << 16,
};

class RandomStream {
 public:
  // `seed` and `clip` name the scene; `part` is added to the stream's number.
  RandomStream(uint32_t seed, uint64_t clip, SceneStream stream, uint32_t part = 0)
      : key_(seed, RandomPurpose::kSynthesis),
        clip_(clip),
        element_(static_cast<uint64_t>(static_cast<uint32_t>(stream) + part) << 32) {}

  // Four independent 32-bit words.
  std::array<uint32_t, 4> Words() { return Philox(key_, clip_, element_++); }
  uint64_t Bits() {
    const std::array<uint32_t, 4> words = Words();
    return (uint64_t{words[0]} << 32) | words[1];
  }
  // Uniform in [low, high).
  double Uniform(double low = 0, double high = 1) {
    return low + (high - low) * PhiloxUniform(key_, clip_, element_++);
  }
  // Uniform integer in [0, bound), bound > 0.
  int Integer(int bound) {
    return static_cast<int>(PhiloxInteger(key_, clip_, element_++, static_cast<uint64_t>(bound)));
  }
  bool Chance(double probability) { return Uniform() < probability; }

 private:
  PhiloxKey key_;
  uint64_t clip_;
  uint64_t element_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_RANDOM_STREAM_H_
