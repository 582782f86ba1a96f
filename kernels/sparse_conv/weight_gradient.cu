// The gradient of the weight, dW_t = sum_p x[map[t][p]]^T dY[p]: by mma.sync, and what both paths share, the choice
// between them and the adding up of partial sums.
//
// By mma.sync a block owns seven taps, a range of rows and a block of input and output channels; each of its seven
// warps owns one tap. A warp collects the rows that have its tap in a small queue, so that no matrix instruction runs
// on absent rows, reads both operands from global memory straight into registers and keeps the sums there. The warps
// read the same rows of dY and mostly the same rows of x at about the same time: the first-level cache serves them.
// The sums of a range go to the workspace; a second kernel adds ranges in ascending order.
//
// A lane (g, t) reads the g-th eighth of a block's channels of the rows that t stands for. With the rows as k, its
// channels are the columns m = g, g + 8 or n = g of several instructions: channel j of the eighth is that of
// instruction j / 2 (rows of A: m = g for even j, g + 8 for odd) or j (columns of B).
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/conv_tile.h"
#include "kernels/sparse_conv/gradient_tile.h"
#include "kernels/sparse_conv/tensor_core.h"

namespace cubist {
namespace {

constexpr int kWarps = kGroupTaps;
constexpr int kThreads = 32 * kWarps;
constexpr unsigned kQueue = 64;  // pairs of rows, in shared memory, of a warp

// The tap that a warp owns. Warps w and w + 4 share a quarter of the multiprocessor's tensor cores, warp 3 has one of
// its own: it gets the tap with the most rows (the centre or a face), the others a fuller tap with an emptier one.
__constant__ unsigned char kTapOfWarp[kTapGroups][kWarps] = {{0, 2, 6, 4, 1, 3, 5},
                                                             {10, 12, 7, 13, 8, 9, 11},
                                                             {16, 15, 17, 14, 18, 20, 19},
                                                             {21, 23, 25, 22, 24, 26, kConvTaps}};

// kWords words of a part of a row into registers, zeros when row is -1.
template <int kWords>
__device__ inline void ReadWords(const char* from, int row, uint32_t (&words)[kWords]) {
  static_assert(kWords == 2 || kWords % 4 == 0, "8 or 16 bytes");
  if constexpr (kWords == 2) {
    const uint2 two = LoadOrZero8(from, row);
    words[0] = two.x;
    words[1] = two.y;
  } else {
#pragma unroll
    for (int i = 0; i < kWords / 4; ++i) {
      const uint4 four = LoadOrZero16(from + 16 * i, row);
      words[4 * i] = four.x;
      words[4 * i + 1] = four.y;
      words[4 * i + 2] = four.z;
      words[4 * i + 3] = four.w;
    }
  }
}

// Fragments of one step from a lane's rows: low[j] and high[j] of channel j, the lower and the upper half of k.
template <SparseConvMath kMath>
struct Transposer;

template <>
struct Transposer<SparseConvMath::kBfloat16> {
  static constexpr int kRows = 4;  // of a lane: k = 2t, 2t + 1, 2t + 8, 2t + 9
  template <int kWords, int kChannels>
  static __device__ void Run(const uint32_t (&rows)[kRows][kWords], uint32_t (&low)[kChannels],
                             uint32_t (&high)[kChannels]) {
    static_assert(kChannels == 2 * kWords, "two channels a word");
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      low[2 * w] = __byte_perm(rows[0][w], rows[1][w], 0x5410);
      low[2 * w + 1] = __byte_perm(rows[0][w], rows[1][w], 0x7632);
      high[2 * w] = __byte_perm(rows[2][w], rows[3][w], 0x5410);
      high[2 * w + 1] = __byte_perm(rows[2][w], rows[3][w], 0x7632);
    }
  }
};

template <SparseConvMath kMath>
struct Transposer {
  static constexpr int kRows = 2;  // of a lane: k = t, t + 4
  template <int kWords, int kChannels>
  static __device__ void Run(const uint32_t (&rows)[kRows][kWords], uint32_t (&low)[kChannels],
                             uint32_t (&high)[kChannels]) {
    static_assert(kChannels == kWords, "a channel a word");
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      low[w] = kMath == SparseConvMath::kTf32 ? RoundTf32(__uint_as_float(rows[0][w])) : rows[0][w];
      high[w] = kMath == SparseConvMath::kTf32 ? RoundTf32(__uint_as_float(rows[1][w])) : rows[1][w];
    }
  }
};

__device__ inline uint32_t MainPart(uint32_t x) { return RoundTf32(__uint_as_float(x)); }
__device__ inline uint32_t RestPart(uint32_t x) { return RoundTf32(__uint_as_float(x) - __uint_as_float(MainPart(x))); }

template <SparseConvMath kMath>
__device__ inline void MultiplyPair(const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (&c)[4]) {
  if constexpr (kMath == SparseConvMath::kBfloat16) {
    MultiplyBfloat16(c, a[0], a[1], a[2], a[3], b0, b1);
  } else if constexpr (kMath == SparseConvMath::kTf32) {
    MultiplyTf32(c, a[0], a[1], a[2], a[3], b0, b1);
  } else {
    float sum[4] = {0, 0, 0, 0};
    const uint32_t main_a[4] = {MainPart(a[0]), MainPart(a[1]), MainPart(a[2]), MainPart(a[3])};
    MultiplyTf32(sum, RestPart(a[0]), RestPart(a[1]), RestPart(a[2]), RestPart(a[3]), MainPart(b0), MainPart(b1));
    MultiplyTf32(sum, main_a[0], main_a[1], main_a[2], main_a[3], RestPart(b0), RestPart(b1));
    MultiplyTf32(sum, main_a[0], main_a[1], main_a[2], main_a[3], MainPart(b0), MainPart(b1));
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] += sum[i];
  }
}

template <SparseConvMath kMath, int kInputs, int kOutputs, typename T>
__global__ void __launch_bounds__(kThreads, (kInputs * kOutputs > 2048 || kMath == SparseConvMath::kFloat32) ? 1 : 2)
    WeightGradientKernel(GradientArguments<T> arguments) {
  constexpr int kRows = Transposer<kMath>::kRows;
  constexpr unsigned kStepPairs = 4 * kRows;
  constexpr int kInputsOfLane = kInputs / 8, kOutputsOfLane = kOutputs / 8;
  constexpr int kInputWords = kInputsOfLane * static_cast<int>(sizeof(T)) / 4;
  constexpr int kOutputWords = kOutputsOfLane * static_cast<int>(sizeof(T)) / 4;
  __shared__ __align__(16) int2 queues[kWarps][kQueue];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = lane / 4, t = lane % 4;
  int group = 0;
  while (group < kTapGroups - 1 && static_cast<int>(blockIdx.x) >= arguments.ranges.First(group + 1)) ++group;
  const int range = static_cast<int>(blockIdx.x) - arguments.ranges.First(group);
  const int ranges = arguments.ranges.Count(group);
  const int tap = kTapOfWarp[group][warp];
  if (tap == kConvTaps) return;
  const RowRange rows = RowsOfRange(arguments.rows, range, ranges);

  // The lane's first channels. A lane beyond the last channel reads others instead: its sums are not used.
  const int input = blockIdx.y * kInputs + g * kInputsOfLane;
  const int output = blockIdx.z * kOutputs + g * kOutputsOfLane;
  const char* const x = reinterpret_cast<const char*>(arguments.x + (input < arguments.inputs ? input : 0));
  const char* const dy = reinterpret_cast<const char*>(arguments.dy + (output < arguments.outputs ? output : 0));
  const uint32_t x_bytes = static_cast<uint32_t>(arguments.x_stride * sizeof(T));
  const uint32_t dy_bytes = static_cast<uint32_t>(arguments.dy_stride * sizeof(T));
  const int32_t* const map = arguments.neighbor_map + int64_t{tap} * arguments.rows;

  // The queue holds pairs (row of x, row of dY) [head, tail), at their number modulo kQueue. head is a multiple of a
  // step's pairs; steps that the range does not fill have pairs of -1.
  int2* const queue = queues[warp];
  unsigned head = 0, tail = 0;
  int next_row = rows.begin;
  const unsigned lanes_before = (1u << lane) - 1;
  const auto read_map = [&](int row) { return row < rows.end ? __ldg(map + row) : -1; };
  int ahead = read_map(next_row + lane);
  const auto fill = [&] {
    while (tail - head < kStepPairs && next_row < rows.end) {
      const int neighbor = ahead;
      const int row = next_row + lane;
      next_row += 32;
      ahead = read_map(next_row + lane);
      const uint32_t has = __ballot_sync(0xffffffffu, neighbor >= 0);
      if (neighbor >= 0) queue[(tail + __popc(has & lanes_before)) % kQueue] = make_int2(neighbor, row);
      tail += __popc(has);
    }
    if (tail - head < kStepPairs && lane < kStepPairs && tail + lane < head + kStepPairs) {
      queue[(tail + lane) % kQueue] = make_int2(-1, -1);
    }
    __syncwarp();
  };
  uint32_t raw_x[kRows][kInputWords], raw_dy[kRows][kOutputWords];
  const auto load = [&] {
    const int4* const pairs = reinterpret_cast<const int4*>(queue + (head + t * kRows) % kQueue);
#pragma unroll
    for (int r = 0; r < kRows; r += 2) {
      const int4 two = pairs[r / 2];
      ReadWords(RowAddress(x, two.x, x_bytes), two.x, raw_x[r]);
      ReadWords(RowAddress(dy, two.y, dy_bytes), two.x, raw_dy[r]);
      ReadWords(RowAddress(x, two.z, x_bytes), two.z, raw_x[r + 1]);
      ReadWords(RowAddress(dy, two.w, dy_bytes), two.z, raw_dy[r + 1]);
    }
    head += kStepPairs;
    __syncwarp();  // read before the next fill writes
  };

  float sums[kInputsOfLane / 2][kOutputsOfLane][4] = {};
  fill();
  bool some = head != tail;  // of the pairs that are loaded is real
  load();
  while (some) {
    uint32_t a_low[kInputsOfLane], a_high[kInputsOfLane], b_low[kOutputsOfLane], b_high[kOutputsOfLane];
    Transposer<kMath>::Run(raw_x, a_low, a_high);
    Transposer<kMath>::Run(raw_dy, b_low, b_high);
    // The next step's loads run while the instructions do; after the last step they are zeros.
    if (static_cast<int>(tail - head) < 0) tail = head;
    fill();
    some = head != tail;
    load();
#pragma unroll
    for (int i = 0; i < kInputsOfLane / 2; ++i) {
      const uint32_t a[4] = {a_low[2 * i], a_low[2 * i + 1], a_high[2 * i], a_high[2 * i + 1]};
#pragma unroll
      for (int j = 0; j < kOutputsOfLane; ++j) MultiplyPair<kMath>(a, b_low[j], b_high[j], sums[i][j]);
    }
  }

  float* const matrix = arguments.partial + int64_t{arguments.ranges.FirstMatrix(tap) + range} *
                                                arguments.padded_inputs * arguments.padded_outputs;
#pragma unroll
  for (int i = 0; i < kInputsOfLane / 2; ++i) {
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      // Sum c[part] stands at m = g + 8 (part / 2), n = 2t + part % 2.
      float* const to = matrix +
                        int64_t{static_cast<int>(blockIdx.y) * kInputs + g * kInputsOfLane + 2 * i + part / 2} *
                            arguments.padded_outputs +
                        blockIdx.z * kOutputs + (2 * t + part % 2) * kOutputsOfLane;
#pragma unroll
      for (int j = 0; j < kOutputsOfLane; j += 4) {
        *reinterpret_cast<float4*>(to + j) =
            make_float4(sums[i][j][part], sums[i][j + 1][part], sums[i][j + 2][part], sums[i][j + 3][part]);
      }
    }
  }
}

// Adds the ranges of each tap: a block does one input channel and 32 output channels, a warp one tap.
__global__ void __launch_bounds__(kConvTaps * 32)
    ReduceKernel(const float* partial, GradientRanges ranges, int padded_inputs, int padded_outputs,
                 View<float, 5> dweight) {
  __shared__ float sums[32][kConvTaps];
  const int tap = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int64_t input = blockIdx.x;
  const int64_t matrix = int64_t{padded_inputs} * padded_outputs;
  const float* const from =
      partial + ranges.FirstMatrix(tap) * matrix + input * padded_outputs + blockIdx.y * 32 + lane;
  const int count = ranges.Count(tap / kGroupTaps);
  float total = 0;
#pragma unroll 8
  for (int range = 0; range < count; ++range) total += __ldg(from + range * matrix);
  sums[lane][ConvTap(tap / 9, tap / 3 % 3, tap % 3)] = total;  // its place in [K0, K1, K2]: z, y, x of the tap swapped
  __syncthreads();
  // The 27 numbers of an output channel stand together.
  for (int i = threadIdx.x; i < 32 * kConvTaps; i += kConvTaps * 32) {
    const int64_t output = blockIdx.y * 32 + i / kConvTaps;
    if (output < dweight.shape[0]) {
      dweight.data[(output * dweight.shape[1] + input) * kConvTaps + i % kConvTaps] =
          sums[i / kConvTaps][i % kConvTaps];
    }
  }
}

// As many blocks as an H100 has multiprocessors, shared out as the groups' fullest quarters are filled on real levels.
GradientPlan PlanPortable(SparseConvMath math, int64_t rows, int64_t inputs, int64_t outputs) {
  constexpr int kTargetBlocks = 132;
  constexpr int kShare[kTapGroups] = {30, 38, 34, 30};
  const bool bfloat16 = math == SparseConvMath::kBfloat16;
  GradientPlan plan;
  plan.block_inputs = bfloat16 && inputs > 32 ? 64 : 32;
  plan.block_outputs = bfloat16 && inputs <= 32 && outputs <= 32 ? 32 : 64;
  const int64_t channel_blocks =
      CeilDivide<int64_t>(inputs, plan.block_inputs) * CeilDivide<int64_t>(outputs, plan.block_outputs);
  const int64_t blocks = kTargetBlocks * (plan.block_inputs * plan.block_outputs > 2048 ? 1 : 2);
  const int64_t most = std::max<int64_t>(CeilDivide<int64_t>(rows, 256), 1);
  for (int group = 0; group < kTapGroups; ++group) {
    const int64_t count = blocks * kShare[group] / (kTargetBlocks * std::max<int64_t>(channel_blocks, 1));
    plan.ranges.count[group] = static_cast<int>(std::clamp<int64_t>(count, 1, most));
  }
  return plan;
}

GradientPlan PlanOf(SparseConvMath math, SparseConvPath path, int64_t rows, int64_t inputs, int64_t outputs) {
  return path == SparseConvPath::kHopper ? PlanHopperWeightGradient(rows, inputs, outputs)
                                         : PlanPortable(math, rows, inputs, outputs);
}

template <SparseConvMath kMath, int kInputs, int kOutputs, typename T>
cudaError_t Launch(const GradientArguments<T>& arguments, cudaStream_t stream) {
  const dim3 grid(arguments.ranges.First(kTapGroups), arguments.padded_inputs / kInputs,
                  arguments.padded_outputs / kOutputs);
  WeightGradientKernel<kMath, kInputs, kOutputs><<<grid, kThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace

SparseConvPath FastestSparseConvWeightGradientPath(SparseConvMath math, int64_t inputs, int64_t outputs) {
  // wgmma's blocks have 64 channels at least: with 32 of x and of dY three quarters of them would be empty.
  return std::max(inputs, outputs) <= 32 ? SparseConvPath::kPortable : FastestSparseConvPath(math);
}

int64_t SparseConvWeightGradientWorkspace(SparseConvMath math, SparseConvPath path, int64_t rows, int64_t inputs,
                                          int64_t outputs) {
  const GradientPlan plan = PlanOf(math, path, rows, inputs, outputs);
  return int64_t{kGroupTaps} * plan.ranges.First(kTapGroups) * CeilDivide<int64_t>(inputs, plan.block_inputs) *
         plan.block_inputs * CeilDivide<int64_t>(outputs, plan.block_outputs) * plan.block_outputs * 4;
}

template <typename T>
cudaError_t SparseConvWeightGradientCuda(SparseConvMath math, SparseConvPath path, View<const T, 2> x,
                                         View<const T, 2> dy, View<const int32_t, 2> neighbor_map, void* workspace,
                                         View<float, 5> dweight, cudaStream_t stream) {
  const int64_t rows = x.shape[0], inputs = x.shape[1], outputs = dy.shape[1];
  const bool bfloat16 = math == SparseConvMath::kBfloat16;
  if (!RowsFit(x) || !RowsFit(dy) || dy.shape[0] != rows || !neighbor_map.is_dense() || !dweight.is_dense() ||
      neighbor_map.shape[0] != kConvTaps || neighbor_map.shape[1] != rows || dweight.shape[0] > outputs ||
      dweight.shape[1] > inputs || bfloat16 != (sizeof(T) == 2) || (path == SparseConvPath::kHopper && !bfloat16)) {
    return cudaErrorInvalidValue;
  }
  if (dweight.size() == 0) return cudaSuccess;
  const GradientPlan plan = PlanOf(math, path, rows, inputs, outputs);
  const GradientArguments<T> arguments{
      x.data,
      x.stride[0],
      dy.data,
      dy.stride[0],
      neighbor_map.data,
      static_cast<float*>(workspace),
      static_cast<int>(rows),
      static_cast<int>(inputs),
      static_cast<int>(outputs),
      static_cast<int>(CeilDivide<int64_t>(inputs, plan.block_inputs)) * plan.block_inputs,
      static_cast<int>(CeilDivide<int64_t>(outputs, plan.block_outputs)) * plan.block_outputs,
      plan.ranges};
  cudaError_t status;
  if constexpr (sizeof(T) == 2) {
    status = path == SparseConvPath::kHopper ? LaunchHopperWeightGradient(plan, arguments, stream)
             : plan.block_inputs == 64       ? Launch<SparseConvMath::kBfloat16, 64, 64>(arguments, stream)
             : plan.block_outputs == 64      ? Launch<SparseConvMath::kBfloat16, 32, 64>(arguments, stream)
                                             : Launch<SparseConvMath::kBfloat16, 32, 32>(arguments, stream);
  } else {
    status = math == SparseConvMath::kTf32 ? Launch<SparseConvMath::kTf32, 32, 64>(arguments, stream)
                                           : Launch<SparseConvMath::kFloat32, 32, 64>(arguments, stream);
  }
  if (status != cudaSuccess) return status;
  const dim3 grid(static_cast<unsigned>(dweight.shape[1]),
                  static_cast<unsigned>(CeilDivide<int64_t>(dweight.shape[0], 32)));
  ReduceKernel<<<grid, kConvTaps * 32, 0, stream>>>(arguments.partial, arguments.ranges, arguments.padded_inputs,
                                                    arguments.padded_outputs, dweight);
  return cudaGetLastError();
}
template cudaError_t SparseConvWeightGradientCuda<float>(SparseConvMath, SparseConvPath, View<const float, 2>,
                                                         View<const float, 2>, View<const int32_t, 2>, void*,
                                                         View<float, 5>, cudaStream_t);
template cudaError_t SparseConvWeightGradientCuda<__nv_bfloat16>(SparseConvMath, SparseConvPath,
                                                                 View<const __nv_bfloat16, 2>,
                                                                 View<const __nv_bfloat16, 2>, View<const int32_t, 2>,
                                                                 void*, View<float, 5>, cudaStream_t);

}  // namespace cubist
