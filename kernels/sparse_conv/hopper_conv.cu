// The convolution by wgmma, in bfloat16 on capability 9.0.
//
// A warpgroup owns 64 rows and up to 128 columns, a block one warpgroup, or two where there are more than 64 columns.
// Steps are 64 (or 32) channels of one tap. Weights are packed as shared memory wants them and come by one bulk copy a
// step through a ring of stages:
//   full[stage]   passes when the stage's copy has landed (one arrival and its bytes);
//   empty[stage]  passes when all warps have multiplied by it (or skipped it, where a warpgroup lacks the tap).
// Thread 0 starts the copies: at step s that of step s - kLag + kStages, into the stage that step s - kLag used, so
// that the warpgroups may be some steps apart. Rows of x go straight into the registers that wgmma takes as A, one step
// ahead.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/conv_tile.h"
#include "kernels/sparse_conv/tensor_core.h"
#include "kernels/sparse_conv/warpgroup_multiply.h"

namespace cubist {
namespace {

constexpr int kLag = 2;  // steps that the copying thread lets the others finish in

// Code that uses the words stays behind this place.
__device__ inline void KeepHere(uint4& words) {
  asm volatile("" : "+r"(words.x), "+r"(words.y), "+r"(words.z), "+r"(words.w));
}

template <int kColumns, int kChannels>
struct HopperTile {
  static constexpr int kWarpgroups = kColumns <= 64 ? 1 : 2;
  static constexpr int kThreads = 128 * kWarpgroups;
  static constexpr int kRows = 64 * kWarpgroups;
  static constexpr int kStageBytes = kColumns * kChannels * 2;
  static constexpr int kStages = kColumns <= 64 ? 3 : 4;  // what they leave is first-level cache
  static constexpr int kBlocks = kColumns <= 64 ? 5 : 2;  // of a multiprocessor, by registers
  // In dynamic shared memory: stages, neighbours, barriers.
  static constexpr int kNeighborsAt = kStages * kStageBytes;
  static constexpr int kBarriersAt = kNeighborsAt + kConvTaps * kRows * 4;
  static constexpr int kSharedBytes = kBarriersAt + 2 * kStages * 8;
};

// kWhole: x has a multiple of kChannels channels.
template <int kColumns, int kChannels, bool kWhole>
__global__ void __launch_bounds__(HopperTile<kColumns, kChannels>::kThreads, HopperTile<kColumns, kChannels>::kBlocks)
    HopperConvKernel(ConvArguments<__nv_bfloat16> arguments) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Tile = HopperTile<kColumns, kChannels>;
  constexpr int kStages = Tile::kStages;
  constexpr int kRows = Tile::kRows;
  constexpr int kWarps = Tile::kThreads / 32;
  constexpr int kPieces = kChannels / 32;
  unsigned char* const stages = DynamicShared();
  int* const neighbors = reinterpret_cast<int*>(stages + Tile::kNeighborsAt);
  uint64_t* const full = reinterpret_cast<uint64_t*>(stages + Tile::kBarriersAt);
  uint64_t* const empty = full + kStages;
  __shared__ uint32_t taps_of_warp[kWarps];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = lane / 4, t = lane % 4;
  const int64_t first_row = int64_t{blockIdx.x} * kRows;

  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      BarrierInit(full + stage, 1);
      BarrierInit(empty + stage, kWarps);
    }
    BarrierInitFence();
  }
  {
    // Each half of a warp reads the 16 rows of the warp for every other tap.
    const int row_in_tile = warp * 16 + lane % 16;
    const int64_t row = first_row + row_in_tile;
    uint32_t taps = 0;
#pragma unroll
    for (int pair = 0; pair < (kConvTaps + 1) / 2; ++pair) {
      const int tap = 2 * pair + lane / 16;
      const bool exists = tap < kConvTaps && row < arguments.rows;
      const int neighbor = exists ? __ldg(arguments.neighbor_map + int64_t{tap} * arguments.rows + row) : -1;
      if (tap < kConvTaps) neighbors[tap * kRows + row_in_tile] = neighbor;
      const uint32_t has = __ballot_sync(0xffffffffu, neighbor >= 0);
      taps |= ((has & 0xffffu) != 0 ? 1u : 0u) << (2 * pair);
      taps |= ((has >> 16) != 0 ? 2u : 0u) << (2 * pair);
    }
    if (lane == 0) taps_of_warp[warp] = taps;
  }
  __syncthreads();
  const int first_warp = warp / 4 * 4;
  const uint32_t my_taps = taps_of_warp[first_warp] | taps_of_warp[first_warp + 1] | taps_of_warp[first_warp + 2] |
                           taps_of_warp[first_warp + 3];
  uint32_t block_taps = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) block_taps |= taps_of_warp[w];

  const int steps = (arguments.inputs + kChannels - 1) / kChannels;
  const int count = __popc(block_taps) * steps;
  const unsigned char* const packed =
      static_cast<const unsigned char*>(arguments.packed) + int64_t{blockIdx.y} * kConvTaps * steps * Tile::kStageBytes;
  StepCursor copied{block_taps};
  const auto copy_weights = [&](int stage) {  // by thread 0
    BarrierExpect(full + stage, Tile::kStageBytes);
    CopyBulk(stages + stage * Tile::kStageBytes, packed + (copied.Tap() * steps + copied.step) * Tile::kStageBytes,
             Tile::kStageBytes, full + stage);
    copied.Next(steps);
  };

  // The lane's bytes of its two rows, of the step to come; and whether the warpgroup has that step's tap. The rows'
  // numbers are read a step earlier than the rows.
  const char* const x_of_lane = reinterpret_cast<const char*>(arguments.x) + t * 16;
  const uint32_t row_bytes = static_cast<uint32_t>(arguments.x_stride) * 2;
  const int* const neighbors_of_lane = neighbors + warp * 16 + g;
  StepCursor numbered{block_taps};
  int row_of[2], offset = 0;
  bool row_present = false;
  const auto number_rows = [&] {
    row_present = numbered.Valid() && (my_taps >> numbered.Tap() & 1) != 0;
    if (row_present) {
      const int* const from = neighbors_of_lane + numbered.Tap() * kRows;
      row_of[0] = from[0];
      row_of[1] = from[8];
      offset = numbered.step * (kPieces * kPieceBytes);
    }
    numbered.Next(steps);
  };
  uint4 raw[2][kPieces] = {};
  bool raw_present = false;
  const auto load_rows = [&] {
    raw_present = row_present;
    if (raw_present) {
      const char* const from = x_of_lane + offset;
      const int left = arguments.inputs * 2 - offset - t * 16;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const char* const row = RowAddress(from, row_of[half], row_bytes);
#pragma unroll
        for (int piece = 0; piece < kPieces; ++piece) {
          const bool exists = kWhole || left > piece * kPieceBytes;
          raw[half][piece] = LoadOrZero16(row + piece * kPieceBytes, exists ? row_of[half] : -1);
        }
      }
    }
    number_rows();
  };

  float sums[kColumns / 8][4] = {};
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages && copied.Valid(); ++i) copy_weights(i);
  }
  __syncwarp();
  number_rows();
  load_rows();
  const uint64_t first_weights = DescribeColumns(stages, kColumns);
  uint32_t parity = 0;  // of this pass through the ring
  for (int first = 0; first < count; first += kStages, parity ^= 1) {
#pragma unroll
    for (int stage = 0; stage < kStages; ++stage) {
      if (first + stage >= count) break;
      const bool present = raw_present;
      // Here and not before the last products were awaited: what it loads is to have that time.
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int piece = 0; piece < kPieces; ++piece) KeepHere(raw[half][piece]);
      }
      uint32_t a[2 * kPieces][4];
#pragma unroll
      for (int piece = 0; piece < kPieces; ++piece) {
        const uint4 &low = raw[0][piece], &high = raw[1][piece];
        const uint32_t words[2][4] = {{low.x, high.x, low.y, high.y}, {low.z, high.z, low.w, high.w}};
#pragma unroll
        for (int i = 0; i < 8; ++i) a[2 * piece + i / 4][i % 4] = words[i / 4][i % 4];
      }
      load_rows();
      if (threadIdx.x == 0 && first + stage >= kLag && copied.Valid()) {
        const int used = (stage + kStages - kLag) % kStages;
        BarrierWait(empty + used, stage < kLag ? parity ^ 1 : parity);
        copy_weights(used);
      }
      __syncwarp();
      BarrierWait(full + stage, parity);
      if (present) {
        WarpgroupFence();
#pragma unroll
        for (int i = 0; i < 2 * kPieces; ++i) {
          MultiplyWarpgroup<kColumns>(sums, a[i][0], a[i][1], a[i][2], a[i][3],
                                      first_weights + ((stage * Tile::kStageBytes + i * kColumns * 32) >> 4));
        }
        WarpgroupCommit();
        WarpgroupWait();
      }
      if (lane == 0) BarrierArrive(empty + stage);
    }
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t row = first_row + warp * 16 + half * 8 + g;
    WriteRow<kColumns>(sums, 2 * half, t, blockIdx.y * kColumns, arguments, static_cast<int>(row));
  }
#else
  (void)arguments;
#endif
}

template <int kColumns, int kChannels, bool kWhole>
cudaError_t Launch(const ConvArguments<__nv_bfloat16>& arguments, cudaStream_t stream) {
  using Tile = HopperTile<kColumns, kChannels>;
  const auto kernel = HopperConvKernel<kColumns, kChannels, kWhole>;
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Tile::kSharedBytes);
  if (status != cudaSuccess) return status;
  const dim3 grid(CeilDivide(arguments.rows, Tile::kRows), CeilDivide(arguments.outputs, kColumns));
  kernel<<<grid, Tile::kThreads, Tile::kSharedBytes, stream>>>(arguments);
  return cudaGetLastError();
}

template <int kColumns, int kChannels>
cudaError_t Launch(const ConvArguments<__nv_bfloat16>& arguments, cudaStream_t stream) {
  return arguments.inputs % kChannels == 0 ? Launch<kColumns, kChannels, true>(arguments, stream)
                                           : Launch<kColumns, kChannels, false>(arguments, stream);
}

}  // namespace

cudaError_t LaunchHopperConv(const SparseConvWeights& layout, const ConvArguments<__nv_bfloat16>& arguments,
                             cudaStream_t stream) {
  const int columns = TileColumns(layout);
  if (StepChannels(layout) == 32) {
    return columns == 32   ? Launch<32, 32>(arguments, stream)
           : columns == 64 ? Launch<64, 32>(arguments, stream)
                           : Launch<128, 32>(arguments, stream);
  }
  return columns == 32   ? Launch<32, 64>(arguments, stream)
         : columns == 64 ? Launch<64, 64>(arguments, stream)
                         : Launch<128, 64>(arguments, stream);
}

}  // namespace cubist
