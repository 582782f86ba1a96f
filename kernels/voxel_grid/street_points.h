// A street-like scene for benchmarks: points on a wavy ground and on walls along a street.
#ifndef CUBIST_KERNELS_VOXEL_GRID_STREET_POINTS_H_
#define CUBIST_KERNELS_VOXEL_GRID_STREET_POINTS_H_

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace cubist {

// x, y, z of each point, metres, in a square of 2 * half_extent; with voxels of 0.2 m the default, that of the VAE's
// crop, has about 115,000 voxels, with 6 walls about 200,000.
inline std::vector<float> StreetPoints(float half_extent = 25.6f, int walls = 2) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<float> unit(0, 1);
  const double area = (half_extent / 25.6) * (half_extent / 25.6);
  const auto along = [&] { return 2 * half_extent * unit(random) - half_extent; };
  std::vector<float> points;
  for (int64_t n = 0; n < static_cast<int64_t>(600000 * area); ++n) {
    const float x = along(), y = along();
    points.insert(points.end(), {x, y, -1.5f + 0.3f * std::sin(x / 4) + 0.05f * unit(random)});
  }
  for (int64_t n = 0; n < static_cast<int64_t>(200000 * walls * half_extent / 25.6f); ++n) {
    const float x = along();
    const int wall = static_cast<int>(random() % walls);
    const float y = (wall % 2 == 0 ? 12.f - 3.f * (wall / 2) : -14.f + 3.f * (wall / 2)) + 0.4f * std::sin(x);
    points.insert(points.end(), {x, y, -1.5f + 12 * unit(random)});
  }
  return points;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_STREET_POINTS_H_
