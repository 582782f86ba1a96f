// What the tests of grid operations share: grids from lists of coordinates, and the oracle of their order.
#ifndef CUBIST_KERNELS_VOXEL_GRID_GRID_TEST_UTIL_H_
#define CUBIST_KERNELS_VOXEL_GRID_GRID_TEST_UTIL_H_

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/voxel_grid/build_grid.h"

namespace cubist {

using Ijk = std::array<int32_t, 3>;
// Coordinates of each sample of a batch.
using Samples = std::vector<std::vector<Ijk>>;

// The sort key of the canonical order, written out: root tile, upper child, lower child, voxel.
struct CanonicalLess {
  static std::array<int32_t, 12> Key(const Ijk& v) {
    return {v[0] >> 12,       v[1] >> 12,       v[2] >> 12,        // signed
            (v[0] >> 7) & 31, (v[1] >> 7) & 31, (v[2] >> 7) & 31,  // 32^3 upper children
            (v[0] >> 3) & 15, (v[1] >> 3) & 15, (v[2] >> 3) & 15,  // 16^3 lower children
            v[0] & 7,         v[1] & 7,         v[2] & 7};
  }
  bool operator()(const Ijk& a, const Ijk& b) const { return Key(a) < Key(b); }
};

// Row of each coordinate of a sample, in the whole batch.
using RowMap = std::map<Ijk, int64_t, CanonicalLess>;
inline std::vector<RowMap> RowsOracle(const Samples& samples) {
  std::vector<RowMap> maps;
  int64_t row = 0;
  for (const std::vector<Ijk>& sample : samples) {
    RowMap rows;
    for (const Ijk& ijk : sample) rows[ijk] = 0;
    for (auto& entry : rows) entry.second = row++;
    maps.push_back(std::move(rows));
  }
  return maps;
}

struct Flat {
  std::vector<int32_t> values;
  std::vector<int64_t> offsets = {0};
  explicit Flat(const Samples& samples) {
    for (const std::vector<Ijk>& sample : samples) {
      for (const Ijk& ijk : sample) values.insert(values.end(), ijk.begin(), ijk.end());
      offsets.push_back(static_cast<int64_t>(values.size() / 3));
    }
  }
  View<const int32_t, 2> view() const { return {values.data(), {static_cast<int64_t>(values.size() / 3), 3}}; }
};

inline HostVoxelGrid GridOf(const Samples& samples, const GridTransform& transform = {}) {
  const Flat flat(samples);
  absl::StatusOr<HostVoxelGrid> grid = GridFromIjkCpu(flat.view(), flat.offsets, transform);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

// The grid's rows, by sample.
inline Samples RowsOf(const HostVoxelGrid& grid) {
  Samples samples(grid.batch_size());
  const int64_t* offsets = grid.offsets.data<int64_t>();
  const int32_t* ijk = grid.ijk.data<int32_t>();
  for (int64_t b = 0; b < grid.batch_size(); ++b) {
    for (int64_t n = offsets[b]; n < offsets[b + 1]; ++n)
      samples[b].push_back({ijk[3 * n], ijk[3 * n + 1], ijk[3 * n + 2]});
  }
  return samples;
}

// Unique and in canonical order.
inline Samples Canonical(const Samples& samples) {
  Samples ordered;
  for (const RowMap& rows : RowsOracle(samples)) {
    ordered.emplace_back();
    for (const auto& entry : rows) ordered.back().push_back(entry.first);
  }
  return ordered;
}

inline std::vector<Ijk> RandomIjk(std::mt19937_64& random, int64_t count, const Ijk& low, const Ijk& high) {
  std::vector<Ijk> result(count);
  for (Ijk& ijk : result) {
    for (int axis = 0; axis < 3; ++axis) {
      ijk[axis] = std::uniform_int_distribution<int32_t>(low[axis], high[axis])(random);
    }
  }
  return result;
}

// Batches that operations must survive: nothing at all, empty members, one voxel, borders of leaves, lower nodes and
// root tiles on the negative side, crowds and strays.
inline std::vector<Samples> TestBatches(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto some = [&](int64_t count, const Ijk& low, const Ijk& high) { return RandomIjk(random, count, low, high); };
  std::vector<Samples> batches = {
      {},
      {{}},
      {{{-1, -1, -1}}},
      {{{0, 0, 0}}, {}, {{-8, 7, 8}}},
      {{}, some(2000, {-9, -9, -9}, {8, 8, 8}), {}},
      {some(500, {-20, -20, -20}, {20, 20, 20}), some(700, {-130, -3, 120}, {-120, 3, 136})},
      {some(400, {-4100, -4100, -4100}, {-4090, -4090, -4090}), some(300, {4090, -5, 4090}, {4100, 5, 4100})},
      {some(60, {-150, -150, -150}, {150, 150, 150}), {}, some(3, {-250, -250, -250}, {250, 250, 250})},
  };
  std::vector<Ijk> corners;
  for (int32_t i : {-4097, -4096, -1, 0, 4095, 4096}) {
    for (int32_t j : {-129, -128, -1, 0, 127, 128}) {
      for (int32_t k : {-9, -8, -1, 0, 7, 8}) corners.push_back({i, j, k});
    }
  }
  batches.push_back({corners});
  return batches;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_GRID_TEST_UTIL_H_
