// The convolution by mma.sync, for capability 8.0 and later.
//
// A block of four warps owns 128 rows and up to 128 columns, a warp 32 rows: two groups of 16. Steps are 64 bytes of
// channels of one tap. Weights come by cp.async through a ring of stages in shared memory; a warp's rows of x into its
// registers, one step ahead. A warp multiplies the groups of 16 rows alone that have the tap.
#include <cuda_runtime.h>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/conv_tile.h"
#include "kernels/sparse_conv/tensor_core.h"

namespace cubist {
namespace {

constexpr int kThreads = 128;
constexpr int kTileRows = 128;  // of a block
constexpr int kStages = 4;

// Parts of eight rows-by-16-bytes of A, and one of B, multiplied: the share of two instructions.
template <SparseConvMath kMath>
struct Multiplier;

template <>
struct Multiplier<SparseConvMath::kBfloat16> {
  static __device__ void Add(const uint4 (&a)[2], const uint4& b, float (&c)[4]) {
    MultiplyBfloat16(c, a[0].x, a[1].x, a[0].y, a[1].y, b.x, b.y);
    MultiplyBfloat16(c, a[0].z, a[1].z, a[0].w, a[1].w, b.z, b.w);
  }
  static __device__ void Prepare(uint4&) {}
};

template <>
struct Multiplier<SparseConvMath::kTf32> {
  static __device__ void Add(const uint4 (&a)[2], const uint4& b, float (&c)[4]) {
    MultiplyTf32(c, a[0].x, a[1].x, a[0].y, a[1].y, b.x, b.y);
    MultiplyTf32(c, a[0].z, a[1].z, a[0].w, a[1].w, b.z, b.w);
  }
  static __device__ void Prepare(uint4& a) {
    a.x = RoundTf32(__uint_as_float(a.x));
    a.y = RoundTf32(__uint_as_float(a.y));
    a.z = RoundTf32(__uint_as_float(a.z));
    a.w = RoundTf32(__uint_as_float(a.w));
  }
};

template <>
struct Multiplier<SparseConvMath::kFloat32> {
  // The rest that x has beyond its TF32 part, rounded itself.
  static __device__ uint32_t Rest(uint32_t x) {
    return RoundTf32(__uint_as_float(x) - __uint_as_float(RoundTf32(__uint_as_float(x))));
  }
  static __device__ uint4 Rest(const uint4& x) { return make_uint4(Rest(x.x), Rest(x.y), Rest(x.z), Rest(x.w)); }
  static __device__ void Add(const uint4 (&a)[2], const uint4& b, float (&c)[4]) {
    using Tf32 = Multiplier<SparseConvMath::kTf32>;
    const uint4 rest_a[2] = {Rest(a[0]), Rest(a[1])};
    const uint4 rest_b = Rest(b);
    uint4 main_a[2] = {a[0], a[1]};
    uint4 main_b = b;
    Tf32::Prepare(main_a[0]);
    Tf32::Prepare(main_a[1]);
    Tf32::Prepare(main_b);
    // Matrix instructions cut their sums off; long ones are made by additions that round.
    float sum[4] = {0, 0, 0, 0};
    Tf32::Add(rest_a, main_b, sum);
    Tf32::Add(main_a, rest_b, sum);
    Tf32::Add(main_a, main_b, sum);
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] += sum[i];
  }
  static __device__ void Prepare(uint4&) {}
};

template <SparseConvMath kMath, int kColumns, typename T>
__global__ void __launch_bounds__(kThreads) PortableConvKernel(ConvArguments<T> arguments) {
  constexpr int kStageBytes = kColumns * kPieceBytes;
  constexpr int kGroups = 2;
  __shared__ __align__(128) unsigned char stages[kStages * kStageBytes];
  __shared__ int neighbors[kConvTaps * kTileRows];
  __shared__ uint32_t taps_of_warp[kThreads / 32];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = lane / 4, t = lane % 4;
  const int64_t first_row = int64_t{blockIdx.x} * kTileRows;
  const int row_in_tile = warp * 32 + lane;

  // Rows of the neighbours, and the taps of each group of 16 rows.
  uint32_t group_taps[kGroups] = {0, 0};
  {
    const int64_t row = first_row + row_in_tile;
    const bool exists = row < arguments.rows;
#pragma unroll
    for (int tap = 0; tap < kConvTaps; ++tap) {
      const int neighbor = exists ? __ldg(arguments.neighbor_map + int64_t{tap} * arguments.rows + row) : -1;
      neighbors[tap * kTileRows + row_in_tile] = neighbor;
      const uint32_t has = __ballot_sync(0xffffffffu, neighbor >= 0);
      group_taps[0] |= ((has & 0xffffu) != 0 ? 1u : 0u) << tap;
      group_taps[1] |= ((has >> 16) != 0 ? 1u : 0u) << tap;
    }
  }
  if (lane == 0) taps_of_warp[warp] = group_taps[0] | group_taps[1];
  __syncthreads();
  uint32_t block_taps = 0;
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) block_taps |= taps_of_warp[w];

  const int row_bytes_used = arguments.inputs * static_cast<int>(sizeof(T));
  const int steps = (row_bytes_used + kPieceBytes - 1) / kPieceBytes;
  const char* const x_of_lane = reinterpret_cast<const char*>(arguments.x) + t * 16;
  const uint32_t row_bytes = static_cast<uint32_t>(arguments.x_stride * sizeof(T));
  const unsigned char* const packed =
      static_cast<const unsigned char*>(arguments.packed) + int64_t{blockIdx.y} * kConvTaps * steps * kStageBytes;

  StepCursor copied{block_taps}, loaded{block_taps}, used{block_taps};
  int copied_stage = 0;
  const auto copy_weights = [&] {
    if (copied.Valid()) {
      const unsigned char* const from = packed + (int64_t{copied.Tap()} * steps + copied.step) * kStageBytes;
#pragma unroll
      for (int i = 0; i < kStageBytes / 16 / kThreads; ++i) {
        const int at = (i * kThreads + static_cast<int>(threadIdx.x)) * 16;
        CopyAsync16(stages + copied_stage * kStageBytes + at, from + at);
      }
      copied.Next(steps);
      copied_stage = (copied_stage + 1) % kStages;
    }
    CommitCopies();  // a group a step, empty at the end, so that counts stay right
  };
  uint4 raw[kGroups][2] = {};  // the lane's bytes of its rows, of the step to come
  const auto load_rows = [&] {
    if (!loaded.Valid()) return;
    const int tap = loaded.Tap();
    const int offset = loaded.step * kPieceBytes;
    const bool in_row = offset + t * 16 < row_bytes_used;
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      if ((group_taps[group] >> tap & 1) == 0) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = neighbors[tap * kTileRows + warp * 32 + group * 16 + half * 8 + g];
        raw[group][half] = LoadOrZero16(RowAddress(x_of_lane, row, row_bytes) + offset, in_row ? row : -1);
      }
    }
    loaded.Next(steps);
  };

  float sums[kGroups][kColumns / 8][4] = {};
  for (int i = 0; i < kStages - 1; ++i) copy_weights();
  load_rows();
  for (int stage = 0; used.Valid(); stage = (stage + 1) % kStages) {
    WaitCopies<kStages - 2>();
    __syncthreads();  // the stage is there for all, and all are done with the one before
    copy_weights();
    uint4 a[kGroups][2];
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        a[group][half] = raw[group][half];
        Multiplier<kMath>::Prepare(a[group][half]);
      }
    }
    load_rows();
    const int tap = used.Tap();
    const bool has[kGroups] = {(group_taps[0] >> tap & 1) != 0, (group_taps[1] >> tap & 1) != 0};
    const unsigned char* const b_of_lane = stages + stage * kStageBytes + lane * 16;
    if (has[0] && has[1]) {
#pragma unroll
      for (int n8 = 0; n8 < kColumns / 8; ++n8) {
        const uint4 b = *reinterpret_cast<const uint4*>(b_of_lane + n8 * 8 * kPieceBytes);
        Multiplier<kMath>::Add(a[0], b, sums[0][n8]);
        Multiplier<kMath>::Add(a[1], b, sums[1][n8]);
      }
    } else if (has[0]) {
#pragma unroll
      for (int n8 = 0; n8 < kColumns / 8; ++n8) {
        Multiplier<kMath>::Add(a[0], *reinterpret_cast<const uint4*>(b_of_lane + n8 * 8 * kPieceBytes), sums[0][n8]);
      }
    } else if (has[1]) {
#pragma unroll
      for (int n8 = 0; n8 < kColumns / 8; ++n8) {
        Multiplier<kMath>::Add(a[1], *reinterpret_cast<const uint4*>(b_of_lane + n8 * 8 * kPieceBytes), sums[1][n8]);
      }
    }
    used.Next(steps);
  }

#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first_row + warp * 32 + group * 16 + half * 8 + g;
      WriteRow<kColumns>(sums[group], 2 * half, t, blockIdx.y * kColumns, arguments, static_cast<int>(row));
    }
  }
}

template <SparseConvMath kMath, typename T>
void Launch(const SparseConvWeights& layout, const ConvArguments<T>& arguments, cudaStream_t stream) {
  const int columns = TileColumns(layout);
  const dim3 grid(CeilDivide(arguments.rows, kTileRows), CeilDivide(arguments.outputs, columns));
  if (columns == 32) {
    PortableConvKernel<kMath, 32><<<grid, kThreads, 0, stream>>>(arguments);
  } else if (columns == 64) {
    PortableConvKernel<kMath, 64><<<grid, kThreads, 0, stream>>>(arguments);
  } else {
    PortableConvKernel<kMath, 128><<<grid, kThreads, 0, stream>>>(arguments);
  }
}

}  // namespace

cudaError_t LaunchPortableConv(const SparseConvWeights& layout, const ConvArguments<__nv_bfloat16>& arguments,
                               cudaStream_t stream) {
  Launch<SparseConvMath::kBfloat16>(layout, arguments, stream);
  return cudaGetLastError();
}

cudaError_t LaunchPortableConv(const SparseConvWeights& layout, const ConvArguments<float>& arguments,
                               cudaStream_t stream) {
  if (layout.math == SparseConvMath::kTf32) {
    Launch<SparseConvMath::kTf32>(layout, arguments, stream);
  } else {
    Launch<SparseConvMath::kFloat32>(layout, arguments, stream);
  }
  return cudaGetLastError();
}

}  // namespace cubist
