// Rows are read in packs of 16 bytes. A thread keeps to one pack of channels, so that what belongs to a channel (its
// factors, its sums) stays in registers; threads beside each other read a row, lanes of threads different rows.
//
// Forward: 1. moments of each channel over blocks of rows, merged as Chan, Golub and LeVeque do (so that no mean is too
// far from zero); 2. blocks and channels to the statistics of (sample, group); 3. y. Backward: 1. two sums of each
// channel over blocks of rows; 2. the parameters' gradients, and two numbers for each (sample, group); 3. dx. The third
// steps walk backwards: what the first read last is still in the L2 cache.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/group_norm/group_norm_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;         // at most, of kernels over rows
constexpr int kFinishThreads = 1024;  // of kernels over sums
// Blocks that the sums of a large array are split into, some more where samples end: eight for each multiprocessor of
// an H100. The same on every card, so that sums are.
constexpr int64_t kSumBlocks = 1056;
// Channels times rows of a block of sums at least.
constexpr int64_t kSumElements = 8192;
// Packs of one array that a thread has in flight: where one array is read, where two are.
constexpr int kPacksOfOne = 4;
constexpr int kPacksOfTwo = 2;
// Blocks that a multiprocessor is to hold at once at least, so that enough is in flight: a bound on registers.
constexpr int kBlocksOfSums = 3;
constexpr int kBlocksOfMap = 3;
constexpr int kBlocksOfGradient = 2;
// From this size on, what is written is to leave the cache before what is still to be read.
constexpr int64_t kStreamedBytes = int64_t{32} << 20;

struct SampleRows {
  int64_t sample;
  int64_t begin;
  int rows;
};

// The rows of block `block` when each sample's rows are split into blocks of rows_per_block; none behind the last.
__device__ SampleRows RowsOfBlock(const int64_t* offsets, int64_t samples, int rows_per_block, int block) {
  int64_t begin = offsets[0];
  for (int64_t b = 0; b < samples; ++b) {
    const int64_t end = offsets[b + 1];
    const int rows = static_cast<int>(end - begin);
    const int blocks = (rows + rows_per_block - 1) / rows_per_block;
    if (block < blocks) {
      const int first = block * rows_per_block;
      return {b, begin + first, min(rows_per_block, rows - first)};
    }
    block -= blocks;
    begin = end;
  }
  return {0, 0, 0};
}

// 1 / (1 + exp(-z)) by the special function units, relative error about 1e-6; 0 and 1 where exp leaves float's range.
__device__ float Sigmoid(float z) {
  float power, reciprocal;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(z * -1.4426950409f));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(1.0f + power));
  return reciprocal;
}

// With xhat = (x - mean) * reciprocal_std, z = factor * (x - mean) + constant: subtracting first loses no digits.
template <int kWidth>
struct ChannelMap {
  float mean[kWidth], factor[kWidth], constant[kWidth];
  float of_away[kWidth], summand[kWidth];  // with terms: dx = factor * dz + of_away * (x - mean) + summand
};

struct Affine {
  const float *gamma, *beta;           // [C]
  const float *scale, *shift;          // null: no modulation
  int64_t scale_stride, shift_stride;  // from sample to sample
  const float *mean, *reciprocal_std;  // [B, groups]
  int groups, group_size;
};

template <int kWidth>
__device__ ChannelMap<kWidth> LoadChannelMap(const Affine& affine, int64_t sample, int channel,
                                             const float* terms = nullptr) {
  ChannelMap<kWidth> map;
  const float* const mean = affine.mean + sample * affine.groups;
  const float* const reciprocal_std = affine.reciprocal_std + sample * affine.groups;
  int group = channel / affine.group_size;
  int in_group = channel - group * affine.group_size;
  for (int j = 0; j < kWidth; ++j) {
    float factor = affine.gamma[channel + j], constant = affine.beta[channel + j];
    if (affine.scale != nullptr) {
      const float one_plus_scale = 1.0f + affine.scale[sample * affine.scale_stride + channel + j];
      factor *= one_plus_scale;
      constant = constant * one_plus_scale + affine.shift[sample * affine.shift_stride + channel + j];
    }
    map.mean[j] = mean[group];
    map.factor[j] = factor * reciprocal_std[group];
    map.constant[j] = constant;
    if (terms != nullptr) {
      map.of_away[j] = terms[(sample * affine.groups + group) * 2];
      map.summand[j] = terms[(sample * affine.groups + group) * 2 + 1];
    }
    if (++in_group == affine.group_size) {
      in_group = 0;
      ++group;
    }
  }
  return map;
}

// The gradient of z from that of y.
template <bool kSilu>
__device__ float BackThroughSilu(float dy, float z) {
  if (!kSilu) return dy;
  const float s = Sigmoid(z);
  return dy * (s + z * s * (1.0f - s));
}

template <int kWidth, typename T>
__device__ void Store(T* data, int64_t index, const float (&value)[kWidth], bool streamed) {
  Packed<T, kWidth> pack;
  for (int j = 0; j < kWidth; ++j) pack.value[j] = FromFloat<T>(value[j]);
  if constexpr (sizeof(pack) == 16) {
    const int4 bits = reinterpret_cast<const int4&>(pack);
    int4* const to = reinterpret_cast<int4*>(data + index);
    if (streamed) {
      __stcs(to, bits);
    } else {
      *to = bits;
    }
  } else {
    StorePacked(data, index, pack);
  }
}

// What is read for the last time.
template <int kWidth, typename T>
__device__ Packed<T, kWidth> LoadLast(const T* data, int64_t index) {
  if constexpr (sizeof(Packed<T, kWidth>) == 16) {
    const int4 bits = __ldcs(reinterpret_cast<const int4*>(data + index));
    return reinterpret_cast<const Packed<T, kWidth>&>(bits);
  } else {
    return LoadPacked<kWidth>(data, index);
  }
}

// Number, mean and sum of squared deviations of a set of values, for kWidth channels.
template <int kWidth>
struct Moments {
  float count, mean[kWidth], square[kWidth];
};

// One block's moments [2, C] at `moments`.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocksOfSums)
    BlockMoments(const T* x, const int64_t* offsets, int64_t samples, int channels, int rows_per_block,
                 float* moments) {
  const SampleRows part = RowsOfBlock(offsets, samples, rows_per_block, blockIdx.x);
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  const bool inside = channel < channels;
  const int lanes = blockDim.y;
  Moments<kWidth> own = {};
  if (inside) {
    const T* const from = x + part.begin * channels + channel;
    const int end = part.rows * channels, step = lanes * channels;
    int at = threadIdx.y * channels, count = 0;
    for (; at + (kPacksOfOne - 1) * step < end; at += kPacksOfOne * step) {
      Packed<T, kWidth> pack[kPacksOfOne];
      for (int i = 0; i < kPacksOfOne; ++i) pack[i] = LoadPacked<kWidth>(from, at + i * step);
      const float weight = static_cast<float>(kPacksOfOne) / static_cast<float>(count + kPacksOfOne);
      const float square_weight = static_cast<float>(count) * weight;
      for (int j = 0; j < kWidth; ++j) {
        float value[kPacksOfOne], mean = 0;
        for (int i = 0; i < kPacksOfOne; ++i) {
          value[i] = ToFloat(pack[i].value[j]);
          mean += value[i];
        }
        mean *= 1.0f / kPacksOfOne;
        const float away = mean - own.mean[j];
        float square = own.square[j] + away * away * square_weight;
        for (int i = 0; i < kPacksOfOne; ++i) square += (value[i] - mean) * (value[i] - mean);
        own.square[j] = square;
        own.mean[j] += away * weight;
      }
      count += kPacksOfOne;
    }
    for (; at < end; at += step) {
      const Packed<T, kWidth> pack = LoadPacked<kWidth>(from, at);
      const float weight = 1.0f / static_cast<float>(++count);
      for (int j = 0; j < kWidth; ++j) {
        const float value = ToFloat(pack.value[j]), away = value - own.mean[j];
        own.mean[j] += away * weight;
        own.square[j] += away * (value - own.mean[j]);
      }
    }
    own.count = static_cast<float>(count);
  }

  __shared__ float shared[2 * kWidth + 1][kThreads];
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (int half = lanes / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half) {
      for (int j = 0; j < kWidth; ++j) {
        shared[j][thread] = own.mean[j];
        shared[kWidth + j][thread] = own.square[j];
      }
      shared[2 * kWidth][thread] = own.count;
    }
    __syncthreads();
    if (threadIdx.y < half) {
      const int other = thread + half * blockDim.x;
      const float other_count = shared[2 * kWidth][other];
      const float count = own.count + other_count;
      const float weight = count > 0 ? other_count / count : 0.0f;
      for (int j = 0; j < kWidth; ++j) {
        const float away = shared[j][other] - own.mean[j];
        own.square[j] += shared[kWidth + j][other] + away * away * (own.count * weight);
        own.mean[j] += away * weight;
      }
      own.count = count;
    }
  }
  if (!inside || threadIdx.y != 0) return;
  float* const to = moments + int64_t{blockIdx.x} * 2 * channels + channel;
  for (int j = 0; j < kWidth; ++j) {
    to[j] = own.mean[j];
    to[channels + j] = own.square[j];
  }
}

// Sums over the threads whose numbers differ by multiples of `width` (kFinishThreads / width a power of two), in a
// fixed order; in the first `width` threads.
template <int kCount>
__device__ void SumOverLanes(double (&value)[kCount], int width) {
  __shared__ double shared[kCount][kFinishThreads];
  const int thread = threadIdx.x;
  for (int half = kFinishThreads / 2; half >= width; half /= 2) {
    if (thread >= half && thread < 2 * half) {
      for (int k = 0; k < kCount; ++k) shared[k][thread] = value[k];
    }
    __syncthreads();
    if (thread < half) {
      for (int k = 0; k < kCount; ++k) value[k] += shared[k][thread + half];
    }
  }
  __syncthreads();
}

// Where a sample's blocks lie among all.
struct SampleBlocks {
  int first, count, rows;
};

__device__ SampleBlocks BlocksOfSample(const int64_t* offsets, int64_t sample, int rows_per_block) {
  SampleBlocks blocks = {};
  for (int64_t b = 0; b <= sample; ++b) {
    blocks.first += blocks.count;
    blocks.rows = static_cast<int>(offsets[b + 1] - offsets[b]);
    blocks.count = (blocks.rows + rows_per_block - 1) / rows_per_block;
  }
  return blocks;
}

// Block (g, b): statistics of group g of sample b from moments [blocks, 2, C]. `width` threads are beside each other in
// a row of the group's channels.
__global__ void __launch_bounds__(kFinishThreads)
    FinishStatistics(const float* moments, const int64_t* offsets, int channels, int group_size, int width,
                     int rows_per_block, double epsilon, float* mean, float* reciprocal_std) {
  const int group = blockIdx.x;
  const SampleBlocks blocks = BlocksOfSample(offsets, blockIdx.y, rows_per_block);
  const int lanes = kFinishThreads / width, lane = threadIdx.x / width;
  const float* const from = moments + int64_t{blocks.first} * 2 * channels + group * group_size;
  // Sums about a mean that is already close.
  const double pivot = blocks.count > 0 ? static_cast<double>(from[0]) : 0.0;
  double sum[2] = {};
  for (int c = threadIdx.x % width; c < group_size; c += width) {
#pragma unroll 8
    for (int k = lane; k < blocks.count; k += lanes) {
      const float* const block = from + int64_t{k} * 2 * channels + c;
      const double rows = min(rows_per_block, blocks.rows - k * rows_per_block);
      const double away = static_cast<double>(block[0]) - pivot;
      sum[0] += rows * away;
      sum[1] += static_cast<double>(block[channels]) + rows * away * away;
    }
  }
  SumOverLanes(sum, 1);
  if (threadIdx.x != 0) return;
  const int64_t to = int64_t{blockIdx.y} * gridDim.x + group;
  if (blocks.rows == 0) {
    mean[to] = reciprocal_std[to] = 0.0f;
    return;
  }
  const double values = static_cast<double>(blocks.rows) * group_size;
  const double offset = sum[0] / values;
  const double variance = sum[1] / values - offset * offset;
  mean[to] = static_cast<float>(pivot + offset);
  // Not fmax: NaN stays.
  reciprocal_std[to] = static_cast<float>(1.0 / sqrt((variance < 0.0 ? 0.0 : variance) + epsilon));
}

template <typename T, int kWidth, bool kSilu, bool kResidual>
__global__ void __launch_bounds__(kThreads, kBlocksOfMap)
    Apply(const T* x, const int64_t* offsets, int64_t samples, int channels, int rows_per_block, Affine affine,
          const T* residual, T* y, bool streamed) {
  const SampleRows part = RowsOfBlock(offsets, samples, rows_per_block, gridDim.x - 1 - blockIdx.x);
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  if (channel >= channels || part.rows == 0) return;
  const ChannelMap<kWidth> map = LoadChannelMap<kWidth>(affine, part.sample, channel);
  const int64_t origin = part.begin * channels + channel;
  x += origin;
  y += origin;
  if (kResidual) residual += origin;
  constexpr int kPacks = kResidual ? kPacksOfTwo : kPacksOfOne;
  const int step = blockDim.y * channels;
  for (int last = (part.rows - 1 - static_cast<int>(threadIdx.y)) * channels; last >= 0; last -= kPacks * step) {
    Packed<T, kWidth> pack[kPacks], other[kPacks];
    for (int i = 0; i < kPacks; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      pack[i] = LoadPacked<kWidth>(x, at);
      if (kResidual) other[i] = LoadPacked<kWidth>(residual, at);
    }
    for (int i = 0; i < kPacks; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      float value[kWidth];
      for (int j = 0; j < kWidth; ++j) {
        const float z = (ToFloat(pack[i].value[j]) - map.mean[j]) * map.factor[j] + map.constant[j];
        value[j] = kSilu ? z * Sigmoid(z) : z;
        if (kResidual) value[j] += ToFloat(other[i].value[j]);
      }
      Store(y, at, value, streamed);
    }
  }
}

// One block's sums [2, C] at `sums`: of dz, and of dz * (x - mean).
template <typename T, int kWidth, bool kSilu>
__global__ void __launch_bounds__(kThreads, kBlocksOfSums)
    BlockGradientSums(const T* dy, const T* x, const int64_t* offsets, int64_t samples, int channels,
                      int rows_per_block, Affine affine, float* sums) {
  const SampleRows part = RowsOfBlock(offsets, samples, rows_per_block, blockIdx.x);
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  const bool inside = channel < channels;
  const int lanes = blockDim.y;
  float sum[kWidth] = {}, sum_away[kWidth] = {};
  if (inside) {
    const ChannelMap<kWidth> map = LoadChannelMap<kWidth>(affine, part.sample, channel);
    const int64_t origin = part.begin * channels + channel;
    dy += origin;
    x += origin;
    const auto add = [&](const Packed<T, kWidth>& dy_pack, const Packed<T, kWidth>& x_pack) {
      for (int j = 0; j < kWidth; ++j) {
        const float away = ToFloat(x_pack.value[j]) - map.mean[j];
        const float dz = BackThroughSilu<kSilu>(ToFloat(dy_pack.value[j]), away * map.factor[j] + map.constant[j]);
        sum[j] += dz;
        sum_away[j] += dz * away;
      }
    };
    const int end = part.rows * channels, step = lanes * channels;
    int at = threadIdx.y * channels;
    for (; at + (kPacksOfTwo - 1) * step < end; at += kPacksOfTwo * step) {
      Packed<T, kWidth> dy_pack[kPacksOfTwo], x_pack[kPacksOfTwo];
      for (int i = 0; i < kPacksOfTwo; ++i) {
        dy_pack[i] = LoadPacked<kWidth>(dy, at + i * step);
        x_pack[i] = LoadPacked<kWidth>(x, at + i * step);
      }
      for (int i = 0; i < kPacksOfTwo; ++i) add(dy_pack[i], x_pack[i]);
    }
    for (; at < end; at += step) add(LoadPacked<kWidth>(dy, at), LoadPacked<kWidth>(x, at));
  }

  __shared__ float shared[2 * kWidth][kThreads];
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (int half = lanes / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half) {
      for (int j = 0; j < kWidth; ++j) {
        shared[j][thread] = sum[j];
        shared[kWidth + j][thread] = sum_away[j];
      }
    }
    __syncthreads();
    if (threadIdx.y < half) {
      const int other = thread + half * blockDim.x;
      for (int j = 0; j < kWidth; ++j) {
        sum[j] += shared[j][other];
        sum_away[j] += shared[kWidth + j][other];
      }
    }
  }
  if (!inside || threadIdx.y != 0) return;
  float* const to = sums + int64_t{blockIdx.x} * 2 * channels + channel;
  for (int j = 0; j < kWidth; ++j) {
    to[j] = sum[j];
    to[channels + j] = sum_away[j];
  }
}

// Block g: the gradients of the parameters of group g's channels from sums [blocks, 2, C], and for each sample b at
// terms[(b * groups + g) * 2] what dx takes besides dz: of_away and summand.
__global__ void __launch_bounds__(kFinishThreads)
    FinishGradients(const float* sums, const int64_t* offsets, int64_t samples, int channels, int width,
                    int rows_per_block, Affine affine, GroupNormParameterGradients gradients, float* terms) {
  const int group = blockIdx.x;
  const int lanes = kFinishThreads / width, lane = threadIdx.x / width;
  // A channel's gradients are summed over samples where they are written, by the one thread that writes them.
  for (int c = threadIdx.x; lane == 0 && c < affine.group_size; c += width) {
    gradients.dgamma[group * affine.group_size + c] = 0.0f;
    gradients.dbeta[group * affine.group_size + c] = 0.0f;
  }
  for (int64_t b = 0; b < samples; ++b) {
    const SampleBlocks blocks = BlocksOfSample(offsets, b, rows_per_block);
    const double r = affine.reciprocal_std[b * affine.groups + group];
    double group_sum[2] = {};  // of factor * dz and of factor * dz * xhat
    for (int first = 0; first < affine.group_size; first += width) {
      const int in_group = first + threadIdx.x % width;
      const int channel = group * affine.group_size + in_group;
      double sum[2] = {};
      if (in_group < affine.group_size) {
        const float* const from = sums + int64_t{blocks.first} * 2 * channels + channel;
#pragma unroll 8
        for (int k = lane; k < blocks.count; k += lanes) {
          sum[0] += static_cast<double>(from[int64_t{k} * 2 * channels]);
          sum[1] += static_cast<double>(from[int64_t{k} * 2 * channels + channels]);
        }
      }
      SumOverLanes(sum, width);
      if (lane != 0 || in_group >= affine.group_size) continue;
      sum[1] *= r;
      const double gamma = affine.gamma[channel];
      double one_plus_scale = 1.0;
      if (affine.scale != nullptr) {
        one_plus_scale += static_cast<double>(affine.scale[b * affine.scale_stride + channel]);
        gradients.dscale[b * channels + channel] =
            static_cast<float>(gamma * sum[1] + static_cast<double>(affine.beta[channel]) * sum[0]);
        gradients.dshift[b * channels + channel] = static_cast<float>(sum[0]);
      }
      gradients.dgamma[channel] += static_cast<float>(one_plus_scale * sum[1]);
      gradients.dbeta[channel] += static_cast<float>(one_plus_scale * sum[0]);
      group_sum[0] += gamma * one_plus_scale * sum[0];
      group_sum[1] += gamma * one_plus_scale * sum[1];
    }
    SumOverLanes(group_sum, 1);
    if (threadIdx.x != 0 || blocks.rows == 0) continue;
    const double values = static_cast<double>(blocks.rows) * affine.group_size;
    float* const to = terms + (b * affine.groups + group) * 2;
    to[0] = static_cast<float>(-r * r * group_sum[1] / values);
    to[1] = static_cast<float>(-r * group_sum[0] / values);
  }
}

template <typename T, int kWidth, bool kSilu>
__global__ void __launch_bounds__(kThreads, kBlocksOfGradient)
    ApplyGradient(const T* dy, const T* x, const int64_t* offsets, int64_t samples, int channels, int rows_per_block,
                  Affine affine, const float* terms, T* dx, bool streamed) {
  const SampleRows part = RowsOfBlock(offsets, samples, rows_per_block, gridDim.x - 1 - blockIdx.x);
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  if (channel >= channels || part.rows == 0) return;
  const ChannelMap<kWidth> map = LoadChannelMap<kWidth>(affine, part.sample, channel, terms);
  const int64_t origin = part.begin * channels + channel;
  dy += origin;
  x += origin;
  dx += origin;
  const int step = blockDim.y * channels;
  for (int last = (part.rows - 1 - static_cast<int>(threadIdx.y)) * channels; last >= 0; last -= kPacksOfTwo * step) {
    Packed<T, kWidth> dy_pack[kPacksOfTwo], x_pack[kPacksOfTwo];
    for (int i = 0; i < kPacksOfTwo; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      dy_pack[i] = LoadLast<kWidth>(dy, at);
      x_pack[i] = LoadLast<kWidth>(x, at);
    }
    for (int i = 0; i < kPacksOfTwo; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      float value[kWidth];
      for (int j = 0; j < kWidth; ++j) {
        const float away = ToFloat(x_pack[i].value[j]) - map.mean[j];
        const float dz = BackThroughSilu<kSilu>(ToFloat(dy_pack[i].value[j]), away * map.factor[j] + map.constant[j]);
        value[j] = map.factor[j] * dz + (map.of_away[j] * away + map.summand[j]);
      }
      Store(dx, at, value, streamed);
    }
  }
}

struct OffsetsArgument {
  static constexpr int kCount = 256;
  int64_t value[kCount];
};

__global__ void WriteOffsets(OffsetsArgument offsets, int count, int64_t* to) {
  if (threadIdx.x < count) to[threadIdx.x] = offsets.value[threadIdx.x];
}

int64_t RoundUp(int64_t value, int64_t unit) { return CeilDivide(value, unit) * unit; }

// Blocks of rows_per_block rows of each sample.
int64_t BlockCount(View<const int64_t, 1> offsets, int64_t rows_per_block) {
  int64_t blocks = 0;
  for (int64_t b = 0; b + 1 < offsets.shape[0]; ++b) {
    blocks += CeilDivide(offsets(b + 1) - offsets(b), rows_per_block);
  }
  return blocks;
}

int64_t RowCount(View<const int64_t, 1> offsets) { return offsets(offsets.shape[0] - 1); }

// Rows of a block of sums; by the shape alone, so that sums are.
int64_t SumRowsPerBlock(int64_t rows, int64_t channels) {
  int64_t unit = 1;
  while (unit * channels < kSumElements && unit < kSumElements) unit *= 2;
  return RoundUp(std::max<int64_t>(CeilDivide(rows, kSumBlocks), 1), unit);
}

// How the threads of a kernel over rows lie: x along a row's packs, y along rows (a power of two).
struct RowThreads {
  dim3 threads;
  int64_t tiles;  // blocks beside each other along a row
};

RowThreads RowThreadsFor(int64_t channels, int width) {
  const int64_t packs = CeilDivide<int64_t>(channels, width);
  const int64_t tiles = CeilDivide<int64_t>(packs, kThreads);
  const int64_t beside = CeilDivide(packs, tiles);
  int64_t lanes = 1;
  while (2 * lanes * beside <= kThreads) lanes *= 2;
  return {dim3(static_cast<unsigned>(beside), static_cast<unsigned>(lanes)), tiles};
}

// Rows of a block that only applies a map: between 4 and 16 a lane, few enough for twice kSumBlocks.
int64_t ApplyRowsPerBlock(int64_t rows, const RowThreads& shape) {
  const int64_t lanes = shape.threads.y;
  return lanes * std::clamp<int64_t>(rows / (lanes * 2 * kSumBlocks) / 4 * 4, 4, 16);
}

// Threads beside each other in a finishing kernel.
int FinishWidth(int64_t group_size) {
  int width = 1;
  while (width < group_size && width < 128) width *= 2;
  return width;
}

Affine AffineOf(const GroupNormParameters& parameters, int64_t channels, const GroupNormOptions& options,
                const float* mean, const float* reciprocal_std) {
  const GroupNormModulation<float>& modulation = parameters.modulation;
  return {parameters.gamma,
          parameters.beta,
          modulation.scale.data,
          modulation.shift.data,
          modulation.scale.stride[0],
          modulation.shift.stride[0],
          mean,
          reciprocal_std,
          static_cast<int>(options.groups),
          static_cast<int>(channels / options.groups)};
}

// Rows and channels are counted in int, and so are a block's elements.
template <typename T>
bool Takes(View<const T, 2> x, const GroupNormOffsets& offsets, const GroupNormOptions& options) {
  return x.is_dense() && x.shape[0] <= INT32_MAX / 2 && x.shape[1] > 0 && x.shape[1] <= (1 << 20) &&
         options.groups > 0 && x.shape[1] % options.groups == 0 && offsets.host.shape[0] > 0 &&
         offsets.host.shape[0] <= (1 << 15) && RowCount(offsets.host) == x.shape[0];
}

// Calls body with the number of elements of T that one access moves, as a constant.
template <typename T, typename Body>
void DispatchWidth(bool packed, const Body& body) {
  if (packed) {
    body(std::integral_constant<int, 16 / sizeof(T)>{});
  } else {
    body(std::integral_constant<int, 1>{});
  }
}

template <typename Body>
void DispatchBool(bool value, const Body& body) {
  if (value) {
    body(std::true_type{});
  } else {
    body(std::false_type{});
  }
}

// Whether rows behind all these pointers (null among them) can be read in packs.
template <typename T, typename... Pointer>
bool CanPack(int64_t channels, const Pointer*... pointers) {
  return channels * sizeof(T) % 16 == 0 && IsAligned(16, pointers...);
}

}  // namespace

cudaError_t CopyGroupNormOffsetsCuda(View<const int64_t, 1> host, int64_t* device, cudaStream_t stream) {
  for (int64_t first = 0; first < host.shape[0]; first += OffsetsArgument::kCount) {
    OffsetsArgument part = {};
    const int count = static_cast<int>(std::min<int64_t>(host.shape[0] - first, OffsetsArgument::kCount));
    for (int k = 0; k < count; ++k) part.value[k] = host(first + k);
    WriteOffsets<<<1, OffsetsArgument::kCount, 0, stream>>>(part, count, device + first);
  }
  return cudaGetLastError();
}

size_t GroupNormWorkspaceBytes(View<const int64_t, 1> host_offsets, int64_t channels, int64_t groups) {
  const int64_t rows_per_block = SumRowsPerBlock(RowCount(host_offsets), channels);
  const int64_t samples = host_offsets.shape[0] - 1;
  return sizeof(float) * 2 * (BlockCount(host_offsets, rows_per_block) * channels + samples * groups);
}

cudaError_t GroupNormStatisticsOfMomentsCuda(const float* moments, int64_t rows_per_block, int64_t channels,
                                             const GroupNormOffsets& offsets, const GroupNormOptions& options,
                                             float* mean, float* reciprocal_std, cudaStream_t stream) {
  if (rows_per_block <= 0 || rows_per_block > INT32_MAX / 2) return cudaErrorInvalidValue;
  const int64_t samples = offsets.host.shape[0] - 1, group_size = channels / options.groups;
  if (samples == 0) return cudaSuccess;
  FinishStatistics<<<dim3(static_cast<unsigned>(options.groups), static_cast<unsigned>(samples)), kFinishThreads, 0,
                     stream>>>(moments, offsets.device, static_cast<int>(channels), static_cast<int>(group_size),
                               FinishWidth(group_size), static_cast<int>(rows_per_block), options.epsilon, mean,
                               reciprocal_std);
  return cudaGetLastError();
}

template <typename T>
cudaError_t GroupNormStatisticsCuda(View<const T, 2> x, const GroupNormOffsets& offsets,
                                    const GroupNormOptions& options, float* mean, float* reciprocal_std,
                                    void* workspace, cudaStream_t stream) {
  if (!Takes(x, offsets, options)) return cudaErrorInvalidValue;
  const int64_t channels = x.shape[1], samples = offsets.host.shape[0] - 1;
  const int64_t rows_per_block = SumRowsPerBlock(x.shape[0], channels);
  const int64_t blocks = BlockCount(offsets.host, rows_per_block);
  float* const moments = static_cast<float*>(workspace);
  if (blocks > 0) {
    DispatchWidth<T>(CanPack<T>(channels, x.data), [&](auto width) {
      const RowThreads shape = RowThreadsFor(channels, width);
      const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(shape.tiles));
      BlockMoments<T, width><<<grid, shape.threads, 0, stream>>>(
          x.data, offsets.device, samples, static_cast<int>(channels), static_cast<int>(rows_per_block), moments);
    });
    const cudaError_t status = cudaGetLastError();
    if (status != cudaSuccess) return status;
  }
  return GroupNormStatisticsOfMomentsCuda(moments, rows_per_block, channels, offsets, options, mean, reciprocal_std,
                                          stream);
}

template <typename T>
cudaError_t GroupNormApplyCuda(View<const T, 2> x, const GroupNormOffsets& offsets,
                               const GroupNormParameters& parameters, const GroupNormOptions& options,
                               const float* mean, const float* reciprocal_std, const T* residual, T* y,
                               cudaStream_t stream) {
  if (!Takes(x, offsets, options)) return cudaErrorInvalidValue;
  const int64_t channels = x.shape[1], samples = offsets.host.shape[0] - 1;
  if (x.shape[0] == 0) return cudaSuccess;
  const Affine affine = AffineOf(parameters, channels, options, mean, reciprocal_std);
  const bool streamed = x.size() * int64_t{sizeof(T)} >= kStreamedBytes;
  DispatchWidth<T>(CanPack<T>(channels, x.data, residual, y), [&](auto width) {
    const RowThreads shape = RowThreadsFor(channels, width);
    const int64_t rows_per_block = ApplyRowsPerBlock(x.shape[0], shape);
    const dim3 grid(static_cast<unsigned>(BlockCount(offsets.host, rows_per_block)),
                    static_cast<unsigned>(shape.tiles));
    DispatchBool(options.silu, [&](auto silu) {
      DispatchBool(residual != nullptr, [&](auto with_residual) {
        Apply<T, width, silu, with_residual>
            <<<grid, shape.threads, 0, stream>>>(x.data, offsets.device, samples, static_cast<int>(channels),
                                                 static_cast<int>(rows_per_block), affine, residual, y, streamed);
      });
    });
  });
  return cudaGetLastError();
}

template <typename T>
cudaError_t GroupNormBackwardCuda(const T* dy, View<const T, 2> x, const GroupNormOffsets& offsets,
                                  const GroupNormParameters& parameters, const GroupNormOptions& options,
                                  const float* mean, const float* reciprocal_std, T* dx,
                                  const GroupNormParameterGradients& gradients, void* workspace, cudaStream_t stream) {
  if (!Takes(x, offsets, options)) return cudaErrorInvalidValue;
  const int64_t channels = x.shape[1], samples = offsets.host.shape[0] - 1;
  const int channel_count = static_cast<int>(channels);
  const int64_t sum_rows = SumRowsPerBlock(x.shape[0], channels);
  const int64_t sum_blocks = BlockCount(offsets.host, sum_rows);
  float* const sums = static_cast<float*>(workspace);
  float* const terms = sums + sum_blocks * 2 * channels;
  const Affine affine = AffineOf(parameters, channels, options, mean, reciprocal_std);
  const bool streamed = x.size() * int64_t{sizeof(T)} >= kStreamedBytes;
  DispatchWidth<T>(CanPack<T>(channels, dy, x.data, dx), [&](auto width) {
    DispatchBool(options.silu, [&](auto silu) {
      const RowThreads shape = RowThreadsFor(channels, width);
      if (sum_blocks > 0) {
        const dim3 grid(static_cast<unsigned>(sum_blocks), static_cast<unsigned>(shape.tiles));
        BlockGradientSums<T, width, silu><<<grid, shape.threads, 0, stream>>>(
            dy, x.data, offsets.device, samples, channel_count, static_cast<int>(sum_rows), affine, sums);
      }
      FinishGradients<<<static_cast<unsigned>(options.groups), kFinishThreads, 0, stream>>>(
          sums, offsets.device, samples, channel_count, FinishWidth(affine.group_size), static_cast<int>(sum_rows),
          affine, gradients, terms);
      if (sum_blocks > 0) {
        const int64_t rows_per_block = ApplyRowsPerBlock(x.shape[0], shape);
        const dim3 grid(static_cast<unsigned>(BlockCount(offsets.host, rows_per_block)),
                        static_cast<unsigned>(shape.tiles));
        ApplyGradient<T, width, silu>
            <<<grid, shape.threads, 0, stream>>>(dy, x.data, offsets.device, samples, channel_count,
                                                 static_cast<int>(rows_per_block), affine, terms, dx, streamed);
      }
    });
  });
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                         \
  template cudaError_t GroupNormStatisticsCuda<T>(View<const T, 2>, const GroupNormOffsets&, const GroupNormOptions&, \
                                                  float*, float*, void*, cudaStream_t);                               \
  template cudaError_t GroupNormApplyCuda<T>(View<const T, 2>, const GroupNormOffsets&, const GroupNormParameters&,   \
                                             const GroupNormOptions&, const float*, const float*, const T*, T*,       \
                                             cudaStream_t);                                                           \
  template cudaError_t GroupNormBackwardCuda<T>(                                                                      \
      const T*, View<const T, 2>, const GroupNormOffsets&, const GroupNormParameters&, const GroupNormOptions&,       \
      const float*, const float*, T*, const GroupNormParameterGradients&, void*, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
