// Packing of weights, choice of the path, and the gradient of the bias.
#include <cuda_runtime.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/conv_tile.h"
#include "kernels/sparse_conv/sparse_conv_cuda.h"
#include "kernels/sparse_conv/tensor_core.h"

namespace cubist {
namespace {

constexpr int kPackThreads = 128;

__device__ inline void StoreWeight(float value, bool round, float* to) {
  *to = round ? __uint_as_float(RoundTf32(value)) : value;
}
__device__ inline void StoreWeight(float value, bool, __nv_bfloat16* to) { *to = __float2bfloat16_rn(value); }

// A thread packs three numbers, beside each other in the parameter, of one pair of a step channel and a matrix column.
template <typename T>
__global__ void __launch_bounds__(kPackThreads)
    PackKernel(View<const float, 5> weight, bool for_gradient, bool round, bool hopper, int columns, int channels,
               int steps, T* packed) {
  const int channel = blockIdx.x * kPackThreads + threadIdx.x;
  const int position = blockIdx.y, k0 = blockIdx.z / 3, k1 = blockIdx.z % 3;
  if (channel >= steps * channels) return;
  const int64_t output = OutputColumn(position);
  const int64_t o = for_gradient ? channel : output, i = for_gradient ? output : channel;
  const bool exists = o < weight.shape[0] && i < weight.shape[1];
  const int64_t block = position / columns, step = channel / channels;
  const int element = PackedElement(hopper, columns, channels, position % columns, channel % channels);
#pragma unroll
  for (int k2 = 0; k2 < 3; ++k2) {
    const int tap = for_gradient ? kConvTaps - 1 - ConvTap(k0, k1, k2) : ConvTap(k0, k1, k2);
    StoreWeight(exists ? weight(o, i, k0, k1, k2) : 0.0f, round,
                packed + ((block * kConvTaps + tap) * steps + step) * columns * channels + element);
  }
}

// Bias gradient: a block adds up kBiasRows rows of 64 channels, 8 a thread; then one thread a channel adds the blocks.
constexpr int kBiasRows = 2048;
constexpr int kBiasChannels = 64;

__device__ inline void AddEight(const float* from, float (&sums)[8]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float4 values = __ldg(reinterpret_cast<const float4*>(from) + half);
    sums[4 * half] += values.x;
    sums[4 * half + 1] += values.y;
    sums[4 * half + 2] += values.z;
    sums[4 * half + 3] += values.w;
  }
}
__device__ inline void AddEight(const __nv_bfloat16* from, float (&sums)[8]) {
  const uint4 words = __ldg(reinterpret_cast<const uint4*>(from));
  const uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sums[2 * i] += __uint_as_float(word[i] << 16);
    sums[2 * i + 1] += __uint_as_float(word[i] & 0xffff0000u);
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    BiasGradientKernel(const T* dy, int64_t stride, int64_t rows, int channels, float* partial) {
  __shared__ float sums_of[32][kBiasChannels];
  const int part = threadIdx.x % 8, row_of_block = threadIdx.x / 8;
  const int channel = blockIdx.y * kBiasChannels + part * 8;
  const int64_t begin = int64_t{blockIdx.x} * kBiasRows;
  const int64_t end = begin + kBiasRows < rows ? begin + kBiasRows : rows;
  float sums[8] = {};
  if (channel < channels) {
    for (int64_t row = begin + row_of_block; row < end; row += 32) AddEight(dy + row * stride + channel, sums);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) sums_of[row_of_block][part * 8 + i] = sums[i];
  __syncthreads();
  const int mine = blockIdx.y * kBiasChannels + threadIdx.x;
  if (threadIdx.x >= kBiasChannels || mine >= channels) return;
  float total = 0;
  for (int i = 0; i < 32; ++i) total += sums_of[i][threadIdx.x];
  partial[int64_t{blockIdx.x} * channels + mine] = total;
}

__global__ void __launch_bounds__(64)
    BiasReduceKernel(const float* partial, int64_t blocks, int channels, View<float, 1> dbias) {
  const int channel = blockIdx.x * 64 + threadIdx.x;
  if (channel >= dbias.shape[0]) return;
  float total = 0;
  for (int64_t block = 0; block < blocks; ++block) total += partial[block * channels + channel];
  dbias(channel) = total;
}

}  // namespace

SparseConvPath FastestSparseConvPath(SparseConvMath math) {
  return math == SparseConvMath::kBfloat16 && ComputeCapability() == 90 ? SparseConvPath::kHopper
                                                                        : SparseConvPath::kPortable;
}

int64_t SparseConvWeights::Bytes() const {
  const int64_t columns = CeilDivide<int64_t>(outputs, TileColumns(*this)) * TileColumns(*this);
  const int64_t channels = CeilDivide<int64_t>(inputs, StepChannels(*this)) * StepChannels(*this);
  return kConvTaps * columns * channels * (math == SparseConvMath::kBfloat16 ? 2 : 4);
}

cudaError_t PackSparseConvWeightsCuda(View<const float, 5> weight, bool for_gradient, const SparseConvWeights& layout,
                                      void* packed, cudaStream_t stream) {
  const int64_t outputs = weight.shape[for_gradient ? 1 : 0], inputs = weight.shape[for_gradient ? 0 : 1];
  if (layout.inputs % 8 != 0 || layout.outputs % 8 != 0 || inputs > layout.inputs || outputs > layout.outputs) {
    return cudaErrorInvalidValue;
  }
  if (layout.Bytes() == 0) return cudaSuccess;
  const int columns = TileColumns(layout), channels = StepChannels(layout);
  const int steps = static_cast<int>(CeilDivide<int64_t>(layout.inputs, channels));
  const int positions = static_cast<int>(CeilDivide<int64_t>(layout.outputs, columns)) * columns;
  const bool hopper = layout.path == SparseConvPath::kHopper;
  const dim3 grid(CeilDivide(steps * channels, kPackThreads), positions, 9);
  if (layout.math == SparseConvMath::kBfloat16) {
    PackKernel<<<grid, kPackThreads, 0, stream>>>(weight, for_gradient, false, hopper, columns, channels, steps,
                                                  static_cast<__nv_bfloat16*>(packed));
  } else {
    PackKernel<<<grid, kPackThreads, 0, stream>>>(weight, for_gradient, layout.math == SparseConvMath::kTf32, hopper,
                                                  columns, channels, steps, static_cast<float*>(packed));
  }
  return cudaGetLastError();
}

template <typename T>
cudaError_t SparseConvCuda(View<const T, 2> x, const SparseConvWeights& layout, const void* packed,
                           View<const int32_t, 2> neighbor_map, const float* bias, View<T, 2> y, cudaStream_t stream) {
  const int64_t rows = y.shape[0];
  const bool bfloat16 = std::is_same_v<T, __nv_bfloat16>;
  if (bfloat16 != (layout.math == SparseConvMath::kBfloat16) || !RowsFit(x) || !RowsFit(y) ||
      x.shape[1] != layout.inputs || y.shape[1] != layout.outputs || x.shape[0] != rows || !neighbor_map.is_dense() ||
      neighbor_map.shape[0] != kConvTaps || neighbor_map.shape[1] != rows) {
    return cudaErrorInvalidValue;
  }
  if (rows == 0 || layout.outputs == 0) return cudaSuccess;
  const ConvArguments<T> arguments{x.data,
                                   x.stride[0],
                                   packed,
                                   neighbor_map.data,
                                   bias,
                                   y.data,
                                   y.stride[0],
                                   static_cast<int>(rows),
                                   static_cast<int>(layout.inputs),
                                   static_cast<int>(layout.outputs)};
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    if (layout.path == SparseConvPath::kHopper) return LaunchHopperConv(layout, arguments, stream);
  }
  return LaunchPortableConv(layout, arguments, stream);
}
template cudaError_t SparseConvCuda<float>(View<const float, 2>, const SparseConvWeights&, const void*,
                                           View<const int32_t, 2>, const float*, View<float, 2>, cudaStream_t);
template cudaError_t SparseConvCuda<__nv_bfloat16>(View<const __nv_bfloat16, 2>, const SparseConvWeights&, const void*,
                                                   View<const int32_t, 2>, const float*, View<__nv_bfloat16, 2>,
                                                   cudaStream_t);

int64_t SparseConvBiasGradientWorkspace(int64_t rows, int64_t outputs) {
  return CeilDivide<int64_t>(rows, kBiasRows) * outputs * 4;
}

template <typename T>
cudaError_t SparseConvBiasGradientCuda(View<const T, 2> dy, void* workspace, View<float, 1> dbias,
                                       cudaStream_t stream) {
  if (!RowsFit(dy) || dbias.shape[0] > dy.shape[1]) return cudaErrorInvalidValue;
  if (dbias.shape[0] == 0) return cudaSuccess;
  const int64_t blocks = CeilDivide<int64_t>(dy.shape[0], kBiasRows);
  const int channels = static_cast<int>(dy.shape[1]);
  float* const partial = static_cast<float*>(workspace);
  if (blocks > 0) {
    const dim3 grid(static_cast<unsigned>(blocks), CeilDivide(channels, kBiasChannels));
    BiasGradientKernel<T><<<grid, 256, 0, stream>>>(dy.data, dy.stride[0], dy.shape[0], channels, partial);
  }
  BiasReduceKernel<<<CeilDivide(channels, 64), 64, 0, stream>>>(partial, blocks, channels, dbias);
  return cudaGetLastError();
}
template cudaError_t SparseConvBiasGradientCuda<float>(View<const float, 2>, void*, View<float, 1>, cudaStream_t);
template cudaError_t SparseConvBiasGradientCuda<__nv_bfloat16>(View<const __nv_bfloat16, 2>, void*, View<float, 1>,
                                                               cudaStream_t);

}  // namespace cubist
