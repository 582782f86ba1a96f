// The gradient of the weight, dW_t = sum_p x[map[t][p]]^T dY[p], by wgmma, in bfloat16 on capability 9.0.
//
// A block of three warpgroups owns the three taps that differ in z alone, a range of rows and a block of input and
// output channels; a warpgroup owns one tap and keeps its sums in registers. The block lists the rows that have any of
// its taps and goes through the list in steps of kStepRows: a row of dY is read once for the three taps, a row of x by
// each warpgroup that has it, zeros by one that lacks it. The rows of x that the three read in a step are mostly the
// same ones, voxels above each other: the first-level cache serves two of three.
//
// With the rows as k both operands lie in shared memory as they come, a row's channels side by side: panels of
// [kStepRows][64 channels] under the 128-byte swizzle, which wgmma reads as M- and N-major matrices. Copies are
// cp.async, kStages - 1 steps ahead; the copies of a step run while it is multiplied.
//
// Blocks of a range have neighbouring numbers, so that they run at about the same time and find their rows in the
// second-level cache. The sums go to the workspace; weight_gradient.cu adds ranges in ascending order.
#include <cuda_runtime.h>

#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/gradient_tile.h"
#include "kernels/sparse_conv/tensor_core.h"
#include "kernels/sparse_conv/warpgroup_multiply.h"

namespace cubist {
namespace {

constexpr int kWarpgroups = 3;
constexpr int kThreads = 128 * kWarpgroups;
constexpr int kWarps = kThreads / 32;
constexpr int kTapColumns = kConvTaps / kWarpgroups;  // of three taps
constexpr int kStages = 3;
constexpr int kStepRows = 48;  // all threads copy as many pieces of 16 bytes
constexpr int kPanelBytes = kStepRows * 128;
constexpr int kQueue = 10 * kStepRows;  // entries
static_assert(kQueue >= kStepRows - 1 + kThreads + kStepRows,
              "what is left, what a filling adds, what the last step lacks");

// A row of dY and the rows of x that its three taps want, -1 for none.
struct alignas(16) Entry {
  int x[kWarpgroups];
  int dy;
};

template <int kInputs, int kOutputs>
struct GradientTile {
  // A stage: the panels of dY, then those of x by warpgroup.
  static constexpr int kXAt = kOutputs / 64 * kPanelBytes;
  static constexpr int kXBytes = kInputs / 64 * kPanelBytes;
  static constexpr int kStageBytes = kXAt + kWarpgroups * kXBytes;
  // Dynamic shared memory: up to the 1024 bytes at which the swizzle repeats; stages; the queue.
  static constexpr int kQueueAt = kStages * kStageBytes;
  static constexpr int kSharedBytes = 1024 + kQueueAt + kQueue * static_cast<int>(sizeof(Entry));
  static constexpr int kBlocks = kInputs * kOutputs <= 4096 ? 2 : 1;  // of a multiprocessor, by registers
};

// A thread's part in copying kChannels channels of a step's rows, where kCopiers threads share the work: the same 16
// bytes of every kRowStep-th row.
template <int kChannels, int kCopiers>
struct RowCopier {
  static constexpr int kPieces = kChannels / 8;  // of a row
  static constexpr int kRowStep = kCopiers / kPieces;
  static_assert(kRowStep % 8 == 0 && kStepRows % kRowStep == 0, "a thread's place under the swizzle never changes");

  const char* from;  // the thread's piece of row 0
  uint32_t row_bytes;
  int row;     // its first
  int to;      // of that row in the panels
  int absent;  // -1 where the piece's channels do not exist, else 0

  __device__ RowCopier(const __nv_bfloat16* rows, int64_t stride, int channels, int first_channel, int copier)
      : row_bytes(static_cast<uint32_t>(stride) * 2) {
    const int piece = copier % kPieces;
    const bool exists = first_channel + piece * 8 < channels;
    row = copier / kPieces;
    to = piece / 8 * kPanelBytes + row * 128 + ((piece ^ row) % 8) * 16;
    absent = exists ? 0 : -1;
    from = reinterpret_cast<const char*>(rows + (exists ? first_channel + piece * 8 : 0));
  }

  // Starts copying a step's rows to panels at `panels`, zeros for absent ones. `row_of` is the first entry's number.
  template <bool kFirstLevel>
  __device__ void Run(unsigned char* panels, const int* row_of) const {
    constexpr int kCopies = kStepRows / kRowStep;
    int source[kCopies];
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      source[i] = row_of[(row + i * kRowStep) * static_cast<int>(sizeof(Entry) / sizeof(int))];
    }
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int existing = source[i] >= 0 ? source[i] : 0;
      CopyAsyncOrZero16<kFirstLevel>(panels + to + i * (kRowStep * 128), RowAddress(from, existing, row_bytes),
                                     source[i] | absent);
    }
  }
};

template <int kInputs, int kOutputs>
__global__ void __launch_bounds__(kThreads, GradientTile<kInputs, kOutputs>::kBlocks)
    HopperWeightGradientKernel(GradientArguments<__nv_bfloat16> arguments) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Tile = GradientTile<kInputs, kOutputs>;
  unsigned char* const stages = DynamicShared() + (0 - SharedAddress(DynamicShared())) % 1024;
  Entry* const queue = reinterpret_cast<Entry*>(stages + Tile::kQueueAt);
  __shared__ int rows_of_warp[kWarps];

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warpgroup = threadIdx.x / 128;
  const int range = blockIdx.x / kTapColumns;
  const int first_tap = blockIdx.x % kTapColumns * kWarpgroups;
  const RowRange rows = RowsOfRange(arguments.rows, range, arguments.ranges.count[0]);

  // `queued` entries wait to be copied, the first at `head`, a multiple of kStepRows.
  int head = 0, queued = 0;
  int next_row = rows.begin;
  int ahead[kWarpgroups];  // the thread's neighbours of row next_row + threadIdx.x
  const auto read_map = [&] {
    const int row = next_row + static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kWarpgroups; ++i) {
      ahead[i] = row < rows.end ? __ldg(arguments.neighbor_map + int64_t{first_tap + i} * arguments.rows + row) : -1;
    }
  };
  read_map();
  const auto fill = [&] {  // by the whole block
    const Entry entry{{ahead[0], ahead[1], ahead[2]}, next_row + static_cast<int>(threadIdx.x)};
    const bool any = (ahead[0] & ahead[1] & ahead[2]) >= 0;
    const uint32_t has = __ballot_sync(0xffffffffu, any);
    if (lane == 0) rows_of_warp[warp] = __popc(has);
    next_row += kThreads;
    read_map();
    __syncthreads();
    const auto place = [&](int number) { return head + number < kQueue ? head + number : head + number - kQueue; };
    int number = queued + __popc(has & ((1u << lane) - 1));
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const int count = rows_of_warp[w];
      if (w < warp) number += count;
      queued += count;
    }
    if (any) queue[place(number)] = entry;
    // What the last step lacks.
    if (next_row >= rows.end && threadIdx.x < kStepRows) queue[place(queued + threadIdx.x)] = {{-1, -1, -1}, -1};
    __syncthreads();
  };

  const RowCopier<kOutputs, kThreads> dy_copier(arguments.dy, arguments.dy_stride, arguments.outputs,
                                                blockIdx.z * kOutputs, threadIdx.x);
  const RowCopier<kInputs, 128> x_copier(arguments.x, arguments.x_stride, arguments.inputs, blockIdx.y * kInputs,
                                         threadIdx.x % 128);
  int loaded = 0;  // steps
  // A group of copies, empty after the last step.
  const auto load = [&](int stage) {
    while (queued < kStepRows && next_row < rows.end) fill();
    if (queued > 0) {
      unsigned char* const panels = stages + stage * Tile::kStageBytes;
      dy_copier.template Run<false>(panels, &queue[head].dy);
      x_copier.template Run<true>(panels + Tile::kXAt + warpgroup * Tile::kXBytes, &queue[head].x[warpgroup]);
      head = head + kStepRows == kQueue ? 0 : head + kStepRows;
      queued = queued > kStepRows ? queued - kStepRows : 0;
      ++loaded;
    }
    CommitCopies();
  };

  float sums[kInputs / 64][kOutputs / 8][4] = {};
  for (int stage = 0; stage < kStages - 1; ++stage) load(stage);
  int stage = 0;
  for (int step = 0; step < loaded; ++step) {
    WaitCopies<kStages - 2>();
    AsyncProxyFence();
    WarpgroupWait();
    __syncthreads();  // this step's rows are there, and all warpgroups have multiplied by those of the step before
    const unsigned char* const dy = stages + stage * Tile::kStageBytes;
    const unsigned char* const x = dy + Tile::kXAt + warpgroup * Tile::kXBytes;
    WarpgroupFence();
#pragma unroll
    for (int k = 0; k < kStepRows / 16; ++k) {
      const uint64_t b = DescribePanels(dy + k * (16 * 128), kPanelBytes);
#pragma unroll
      for (int m = 0; m < kInputs / 64; ++m) {
        MultiplyPanels<kOutputs>(sums[m], DescribePanels(x + m * kPanelBytes + k * (16 * 128), kPanelBytes), b);
      }
    }
    WarpgroupCommit();
    load(stage == 0 ? kStages - 1 : stage - 1);
    if (++stage == kStages) stage = 0;
  }
  WarpgroupWait();
  WaitCopies<0>();

  // A lane (g, t) of a warp holds rows g and g + 8 of its 16, columns 2t and 2t + 1 of each eight.
  const int64_t matrix = arguments.ranges.FirstMatrix(first_tap + warpgroup) + range;
  float* const to =
      arguments.partial +
      (matrix * arguments.padded_inputs + blockIdx.y * kInputs + warp % 4 * 16 + lane / 4) * arguments.padded_outputs +
      blockIdx.z * kOutputs + lane % 4 * 2;
#pragma unroll
  for (int m = 0; m < kInputs / 64; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int n = 0; n < kOutputs / 8; ++n) {
        *reinterpret_cast<float2*>(to + (m * 64 + half * 8) * arguments.padded_outputs + n * 8) =
            make_float2(sums[m][n][2 * half], sums[m][n][2 * half + 1]);
      }
    }
  }
#else
  (void)arguments;
#endif
}

template <int kInputs, int kOutputs>
cudaError_t Launch(const GradientArguments<__nv_bfloat16>& arguments, cudaStream_t stream) {
  constexpr int kBytes = GradientTile<kInputs, kOutputs>::kSharedBytes;
  const cudaError_t status = cudaFuncSetAttribute(HopperWeightGradientKernel<kInputs, kOutputs>,
                                                  cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (status != cudaSuccess) return status;
  const dim3 grid(arguments.ranges.count[0] * kTapColumns, arguments.padded_inputs / kInputs,
                  arguments.padded_outputs / kOutputs);
  HopperWeightGradientKernel<kInputs, kOutputs><<<grid, kThreads, kBytes, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace

GradientPlan PlanHopperWeightGradient(int64_t rows, int64_t inputs, int64_t outputs) {
  GradientPlan plan;
  plan.block_inputs = inputs <= 64 ? 64 : 128;
  plan.block_outputs = outputs <= 64 ? 64 : 128;
  // Twice as many blocks as an H100 holds: they differ in length, and each range costs 27 matrices.
  constexpr int kWaves = 2, kMultiprocessors = 132;
  const int64_t blocks = kWaves * kMultiprocessors * (plan.block_inputs * plan.block_outputs <= 4096 ? 2 : 1);
  const int64_t channel_blocks = std::max<int64_t>(
      CeilDivide<int64_t>(inputs, plan.block_inputs) * CeilDivide<int64_t>(outputs, plan.block_outputs), 1);
  const int64_t most = std::max<int64_t>(CeilDivide<int64_t>(rows, kThreads), 1);
  const int count = static_cast<int>(std::clamp<int64_t>(blocks / (kTapColumns * channel_blocks), 1, most));
  std::fill_n(plan.ranges.count, kTapGroups, count);
  return plan;
}

cudaError_t LaunchHopperWeightGradient(const GradientPlan& plan, const GradientArguments<__nv_bfloat16>& arguments,
                                       cudaStream_t stream) {
  if (plan.block_inputs == 64) {
    return plan.block_outputs == 64 ? Launch<64, 64>(arguments, stream) : Launch<64, 128>(arguments, stream);
  }
  return plan.block_outputs == 64 ? Launch<128, 64>(arguments, stream) : Launch<128, 128>(arguments, stream);
}

}  // namespace cubist
