// Smooth random functions of a place, for textures.
#ifndef CUBIST_DATA_PROCESS_SYNTHESIS_VALUE_NOISE_H_
#define CUBIST_DATA_PROCESS_SYNTHESIS_VALUE_NOISE_H_

#include <cmath>
#include <cstdint>

namespace cubist {

// A word that looks random, from three.
inline uint32_t HashWords(uint32_t a, uint32_t b, uint32_t c = 0) {
  uint32_t h = a * 0x9E3779B1u ^ (b * 0x85EBCA77u + 0x165667B1u) ^ (c * 0xC2B2AE3Du + 0x27D4EB2Fu);
  h ^= h >> 15;
  h *= 0x2C1B3C6Du;
  h ^= h >> 12;
  h *= 0x297A2D39u;
  return h ^ (h >> 15);
}

// In [0, 1).
inline float HashUnit(uint32_t a, uint32_t b, uint32_t c = 0) {
  return static_cast<float>(HashWords(a, b, c) >> 8) * 0x1.0p-24f;
}

// In [0, 1), smooth, with random values at whole numbers.
inline float ValueNoise(double x, double y, uint32_t seed) {
  const double x0 = std::floor(x), y0 = std::floor(y);
  const auto i = static_cast<uint32_t>(static_cast<int64_t>(x0)), j = static_cast<uint32_t>(static_cast<int64_t>(y0));
  const float u = static_cast<float>(x - x0), v = static_cast<float>(y - y0);
  const float su = u * u * (3 - 2 * u), sv = v * v * (3 - 2 * v);
  const float a = HashUnit(i, j, seed), b = HashUnit(i + 1, j, seed), c = HashUnit(i, j + 1, seed),
              d = HashUnit(i + 1, j + 1, seed);
  return a + su * (b - a) + sv * (c - a) + su * sv * (a - b - c + d);
}

inline float ValueNoise(double x, double y, double z, uint32_t seed) {
  const double z0 = std::floor(z);
  const auto k = static_cast<uint32_t>(static_cast<int64_t>(z0));
  const float w = static_cast<float>(z - z0), sw = w * w * (3 - 2 * w);
  const float low = ValueNoise(x, y, seed + k), high = ValueNoise(x, y, seed + k + 1);
  return low + sw * (high - low);
}

// The sum of `octaves` noises, each half as large and twice as fine as the one before; in [0, 1).
inline float FractalNoise(double x, double y, int octaves, uint32_t seed) {
  float sum = 0, weight = 0.5f, total = 0;
  for (int octave = 0; octave < octaves; ++octave, x *= 2, y *= 2, weight *= 0.5f) {
    sum += weight * ValueNoise(x, y, seed + static_cast<uint32_t>(octave));
    total += weight;
  }
  return sum / total;
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SYNTHESIS_VALUE_NOISE_H_
