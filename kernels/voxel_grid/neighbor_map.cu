#include "kernels/cuda/launch.h"
#include "kernels/voxel_grid/neighbor_map_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 128;

// A thread a voxel: nine rows of three cells along z, each mostly in one mask word.
__global__ void __launch_bounds__(kThreads) NeighborMapKernel(LeafTableView table, View<const int32_t, 2> ijk,
                                                              RowSamples samples, int32_t* map, uint32_t* tap_mask) {
  const int64_t count = ijk.shape[0];
  const int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= count) return;
  const int32_t i = ijk(n, 0), j = ijk(n, 1), k = ijk(n, 2);
  const int sample = SampleOfRow(samples, n);
  const int z = k & 7;
  uint32_t taps = 0;
  const auto write = [&](int tap, int32_t row) {
    map[tap * count + n] = row;
    taps |= static_cast<uint32_t>(row >= 0) << tap;
  };
#pragma unroll
  for (int row = 0; row < 9; ++row) {
    const int32_t x = i + row / 3 - 1, y = j + row % 3 - 1;
    const int32_t leaf = FindLeaf(table, sample, x >> 3, y >> 3, k >> 3);
    const int word = x & 7;
    int32_t found[3] = {-1, -1, -1};
    if (leaf >= 0) {
      const uint64_t mask = table.mask[8 * int64_t{leaf} + word];
      const int first = (y & 7) * 8;
      // The row's byte, with an empty cell at both ends.
      const uint32_t cells = static_cast<uint32_t>((mask >> first) & 0xff) << 1;
      const uint32_t three = (cells >> z) & 7;
      if (three != 0) {
        // Bits before cell z - 1, or before the row where that lies in the next leaf.
        const int begin = first + (z == 0 ? 0 : z - 1);
        int32_t next = table.base[leaf] + BitsBefore(table, leaf, word, begin);
#pragma unroll
        for (int c = 0; c < 3; ++c) {
          if ((three >> c) & 1) found[c] = next++;
        }
      }
    }
    if (z == 0) found[0] = FindRow(table, sample, x, y, k - 1);
    if (z == 7) found[2] = FindRow(table, sample, x, y, k + 1);
#pragma unroll
    for (int c = 0; c < 3; ++c) write(3 * row + c, found[c]);
  }
  if (tap_mask != nullptr) tap_mask[n] = taps;
}

}  // namespace

cudaError_t NeighborMapCuda(const LeafTableView& table, View<const int32_t, 2> ijk, RowSamples samples, int32_t* map,
                            uint32_t* tap_mask, cudaStream_t stream) {
  if (ijk.shape[0] == 0) return cudaSuccess;
  NeighborMapKernel<<<static_cast<unsigned>(CeilDivide<int64_t>(ijk.shape[0], kThreads)), kThreads, 0, stream>>>(
      table, ijk, samples, map, tap_mask);
  return cudaGetLastError();
}

}  // namespace cubist
