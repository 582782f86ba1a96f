// The convolution by wgmma, in bfloat16 on capability 9.0.
//
// A block of two warpgroups owns 128 rows, a warpgroup 64, and up to 128 columns. Steps are 64 (or 32) channels of one
// tap. Weights are packed as shared memory wants them and come by one bulk copy a step through a ring of stages:
//   full[stage]   passes when the stage's copy has landed (one arrival and its bytes);
//   empty[stage]  passes when all eight warps have multiplied by it (or skipped it, where a warpgroup lacks the tap).
// Thread 0 starts the copies: at step s that of step s - 1 + kStages, into the stage that step s - 1 used, so that the
// warpgroups may be some steps apart. Rows of x go straight into the registers that wgmma takes as A, one step ahead.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/conv_tile.h"
#include "kernels/sparse_conv/tensor_core.h"
#include "kernels/sparse_conv/warpgroup_multiply.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;

template <int kColumns, int kChannels>
struct HopperTile {
  static constexpr int kStageBytes = kColumns * kChannels * 2;
  static constexpr int kStages = kStageBytes <= 8192 ? 4 : 3;           // what they leave is first-level cache
  static constexpr int kBlocks = kColumns * kChannels <= 2048 ? 3 : 2;  // of a multiprocessor, by registers
  // In dynamic shared memory: stages, neighbours, barriers.
  static constexpr int kNeighborsAt = kStages * kStageBytes;
  static constexpr int kBarriersAt = kNeighborsAt + kConvTaps * kTileRows * 4;
  static constexpr int kSharedBytes = kBarriersAt + 2 * kStages * 8;
};

template <int kColumns, int kChannels>
__global__ void __launch_bounds__(kThreads, HopperTile<kColumns, kChannels>::kBlocks)
    HopperConvKernel(ConvArguments<__nv_bfloat16> arguments) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Tile = HopperTile<kColumns, kChannels>;
  constexpr int kStages = Tile::kStages;
  constexpr int kWarps = kThreads / 32;
  constexpr int kPieces = kChannels / 32;
  unsigned char* const stages = DynamicShared();
  int* const neighbors = reinterpret_cast<int*>(stages + Tile::kNeighborsAt);
  uint64_t* const full = reinterpret_cast<uint64_t*>(stages + Tile::kBarriersAt);
  uint64_t* const empty = full + kStages;
  __shared__ uint32_t taps_of_warp[kWarps];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = lane / 4, t = lane % 4;
  const int64_t first_row = int64_t{blockIdx.x} * kTileRows;

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
      if (tap < kConvTaps) neighbors[tap * kTileRows + row_in_tile] = neighbor;
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
    CopyBulk(stages + stage * Tile::kStageBytes,
             packed + (int64_t{copied.Tap()} * steps + copied.step) * Tile::kStageBytes, Tile::kStageBytes,
             full + stage);
    copied.Next(steps);
  };

  // The lane's bytes of its two rows, of the step to come; and whether the warpgroup has that step's tap.
  const char* const x_of_lane = reinterpret_cast<const char*>(arguments.x) + t * 16;
  const uint32_t row_bytes = static_cast<uint32_t>(arguments.x_stride) * 2;
  const int* const neighbors_of_lane = neighbors + warp * 16 + g;
  StepCursor loaded{block_taps};
  uint4 raw[2][kPieces] = {};
  bool raw_present = false;
  const auto load_rows = [&] {
    const int tap = loaded.Tap();
    raw_present = loaded.Valid() && (my_taps >> tap & 1) != 0;
    if (raw_present) {
      const int offset = loaded.step * (kPieces * kPieceBytes);
      const int left = arguments.inputs * 2 - offset - t * 16;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = neighbors_of_lane[tap * kTileRows + half * 8];
        const char* const from = RowAddress(x_of_lane, row, row_bytes) + offset;
#pragma unroll
        for (int piece = 0; piece < kPieces; ++piece) {
          raw[half][piece] = LoadOrZero16(from + piece * kPieceBytes, left > piece * kPieceBytes ? row : -1);
        }
      }
    }
    loaded.Next(steps);
  };

  float sums[kColumns / 8][4] = {};
  int stage = 0;
  uint32_t parity = 0;  // of the stage's pass through the ring
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages && copied.Valid(); ++i) copy_weights(i);
  }
  __syncwarp();
  load_rows();
  for (int step = 0; step < count; ++step) {
    const bool present = raw_present;
    uint32_t a[2 * kPieces][4];
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      const uint4 &low = raw[0][piece], &high = raw[1][piece];
      const uint32_t words[2][4] = {{low.x, high.x, low.y, high.y}, {low.z, high.z, low.w, high.w}};
#pragma unroll
      for (int i = 0; i < 8; ++i) a[2 * piece + i / 4][i % 4] = words[i / 4][i % 4];
    }
    load_rows();
    if (threadIdx.x == 0 && step > 0 && copied.Valid()) {
      const int last_stage = stage == 0 ? kStages - 1 : stage - 1;
      BarrierWait(empty + last_stage, stage == 0 ? parity ^ 1 : parity);
      copy_weights(last_stage);
    }
    __syncwarp();
    BarrierWait(full + stage, parity);
    if (present) {
      WarpgroupFence();
#pragma unroll
      for (int i = 0; i < 2 * kPieces; ++i) {
        const unsigned char* const b = stages + stage * Tile::kStageBytes + i * kColumns * 32;
        MultiplyWarpgroup<kColumns>(sums, a[i][0], a[i][1], a[i][2], a[i][3], DescribeColumns(b, kColumns));
      }
      WarpgroupCommit();
      WarpgroupWait();
    }
    if (lane == 0) BarrierArrive(empty + stage);
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
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

template <int kColumns, int kChannels>
cudaError_t Launch(const ConvArguments<__nv_bfloat16>& arguments, cudaStream_t stream) {
  constexpr int kBytes = HopperTile<kColumns, kChannels>::kSharedBytes;
  const cudaError_t status =
      cudaFuncSetAttribute(HopperConvKernel<kColumns, kChannels>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (status != cudaSuccess) return status;
  const dim3 grid(CeilDivide(arguments.rows, kTileRows), CeilDivide(arguments.outputs, kColumns));
  HopperConvKernel<kColumns, kChannels><<<grid, kThreads, kBytes, stream>>>(arguments);
  return cudaGetLastError();
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
