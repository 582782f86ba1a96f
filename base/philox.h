// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). The same (key, counter) gives the same numbers on the host and on a device, so
// what a run draws does not depend on workers, ranks, prefetching or where it was interrupted.
#ifndef CUBIST_BASE_PHILOX_H_
#define CUBIST_BASE_PHILOX_H_

#include <array>
#include <cmath>
#include <cstdint>

#include "base/view.h"

namespace cubist {

// What a random number is for. Part of the key, so that two purposes never share numbers; the values
// are part of what a checkpoint means and never change.
enum class RandomPurpose : uint32_t {
  kParameterInit = 1,
  kClipOrder = 2,
  kClipSplit = 3,
  kCropJitter = 4,
  kLatentNoise = 6,
  kSynthesis = 7,
  kSupervisionImages = 8,
};

struct PhiloxKey {
  uint32_t seed;     // the run's seed
  uint32_t purpose;  // a RandomPurpose
  PhiloxKey(uint32_t seed_in, RandomPurpose purpose_in) : seed(seed_in), purpose(static_cast<uint32_t>(purpose_in)) {}
};

// Four 32-bit words for the 128-bit counter (n, element): n is usually the draw (samples consumed so
// far in the run), element the index within it.
CUBIST_HOST_DEVICE inline std::array<uint32_t, 4> Philox(PhiloxKey key, uint64_t n, uint64_t element) {
  uint32_t c0 = static_cast<uint32_t>(element), c1 = static_cast<uint32_t>(element >> 32);
  uint32_t c2 = static_cast<uint32_t>(n), c3 = static_cast<uint32_t>(n >> 32);
  uint32_t k0 = key.seed, k1 = key.purpose;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = static_cast<uint32_t>(product1);
    c2 = n2;
    c3 = static_cast<uint32_t>(product0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// Uniform in [0, 1) with 53 bits.
CUBIST_HOST_DEVICE inline double PhiloxUniform(PhiloxKey key, uint64_t n, uint64_t element) {
  const std::array<uint32_t, 4> words = Philox(key, n, element);
  const uint64_t bits = (uint64_t{words[0]} << 21) ^ (words[1] >> 11);
  return static_cast<double>(bits) * 0x1.0p-53;
}

// Uniform integer in [0, bound), bound > 0, without modulo bias worth mentioning (64-bit product).
CUBIST_HOST_DEVICE inline uint64_t PhiloxInteger(PhiloxKey key, uint64_t n, uint64_t element, uint64_t bound) {
  const std::array<uint32_t, 4> words = Philox(key, n, element);
  const uint64_t bits = (uint64_t{words[0]} << 32) | words[1];
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

// Standard normal, by Box and Muller (1958).
CUBIST_HOST_DEVICE inline double PhiloxNormal(PhiloxKey key, uint64_t n, uint64_t element) {
  const std::array<uint32_t, 4> words = Philox(key, n, element);
  const double u = (static_cast<double>(words[0]) + 0.5) * 0x1.0p-32;
  const double v = (static_cast<double>(words[1]) + 0.5) * 0x1.0p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925286766559 * v);
}

}  // namespace cubist

#endif  // CUBIST_BASE_PHILOX_H_
