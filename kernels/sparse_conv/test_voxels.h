// Voxels for the tests and benchmarks of feature kernels, with a neighbour map made the obvious way.
#ifndef CUBIST_KERNELS_SPARSE_CONV_TEST_VOXELS_H_
#define CUBIST_KERNELS_SPARSE_CONV_TEST_VOXELS_H_

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "base/philox.h"

namespace cubist {

// Active voxels of a batch: {sample, x, y, z} per row.
using TestVoxels = std::vector<std::array<int, 4>>;

// Each cell of `samples` cubes of `extent`^3 cells is active with the given probability.
inline TestVoxels RandomTestVoxels(int samples, int extent, double probability, uint32_t seed) {
  TestVoxels voxels;
  const PhiloxKey key(seed, RandomPurpose::kSynthesis);
  for (int b = 0; b < samples; ++b) {
    for (int cell = 0; cell < extent * extent * extent; ++cell) {
      if (PhiloxUniform(key, b, cell) >= probability) continue;
      voxels.push_back({b, cell / (extent * extent), cell / extent % extent, cell % extent});
    }
  }
  return voxels;
}

// A street-like surface of extent^2 columns: two voxels thick, with steps and walls.
inline TestVoxels SurfaceTestVoxels(int extent) {
  TestVoxels voxels;
  for (int x = 0; x < extent; ++x) {
    for (int y = 0; y < extent; ++y) {
      const int ground = (x / 7 + y / 11) % 3;
      const int top = x % 16 == 0 ? ground + 6 : ground + 1;
      for (int z = ground; z <= top; ++z) voxels.push_back({0, x, y, z});
    }
  }
  return voxels;
}

// [27, N]: row of the voxel at offset (dx, dy, dz) in the same sample, tap (dx+1)*9 + (dy+1)*3 + (dz+1).
inline std::vector<int32_t> TestNeighborMap(const TestVoxels& voxels) {
  std::map<std::array<int, 4>, int32_t> row_of;
  for (size_t row = 0; row < voxels.size(); ++row) row_of[voxels[row]] = static_cast<int32_t>(row);
  std::vector<int32_t> neighbor_map(27 * voxels.size(), -1);
  for (size_t row = 0; row < voxels.size(); ++row) {
    for (int dx = -1; dx <= 1; ++dx) {
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dz = -1; dz <= 1; ++dz) {
          const auto [b, x, y, z] = voxels[row];
          const auto found = row_of.find({b, x + dx, y + dy, z + dz});
          if (found == row_of.end()) continue;
          neighbor_map[((dx + 1) * 9 + (dy + 1) * 3 + (dz + 1)) * voxels.size() + row] = found->second;
        }
      }
    }
  }
  return neighbor_map;
}

// Numbers in [-1, 1) of key (seed, kSynthesis).
template <typename T>
std::vector<T> TestNumbers(int64_t count, uint32_t seed) {
  std::vector<T> numbers(count);
  const PhiloxKey key(seed, RandomPurpose::kSynthesis);
  for (int64_t i = 0; i < count; ++i) numbers[i] = static_cast<T>(2.0 * PhiloxUniform(key, 0, i) - 1.0);
  return numbers;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_TEST_VOXELS_H_
