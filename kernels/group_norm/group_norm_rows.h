// How the kernels of both directions go over rows, sum them up in a fixed order, and are launched. For .cu files.
//
// Rows are read in packs of 16 bytes. A thread keeps to one pack of channels, so that what belongs to a channel (its
// factors, its sums) stays in registers; threads beside each other read a row, lanes of threads different rows.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_ROWS_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/cuda/silu.h"
#include "kernels/group_norm/group_norm_cuda.h"

namespace cubist {
namespace group_norm_rows {

inline constexpr int kThreads = 256;         // at most, of kernels over rows
inline constexpr int kFinishThreads = 1024;  // of kernels over sums
// Blocks that the sums of a large array are split into, some more where samples end: eight for each multiprocessor of
// an H100. The same on every card, so that sums are.
inline constexpr int64_t kSumBlocks = 1056;
// Channels times rows of a block of sums at least.
inline constexpr int64_t kSumElements = 8192;
// Packs of one array that a thread has in flight: where one array is read, where two are.
inline constexpr int kPacksOfOne = 4;
inline constexpr int kPacksOfTwo = 2;
// Blocks that a multiprocessor is to hold at once at least, so that enough is in flight: a bound on registers.
inline constexpr int kBlocksOfSums = 3;
inline constexpr int kBlocksOfMap = 3;
inline constexpr int kBlocksOfGradient = 2;
// From this size on, what is written is to leave the cache before what is still to be read.
inline constexpr int64_t kStreamedBytes = int64_t{32} << 20;

struct SampleRows {
  int64_t sample;
  int64_t begin;
  int rows;
};

// The rows of block `block` when each sample's rows are split into blocks of rows_per_block; none behind the last.
__device__ inline SampleRows RowsOfBlock(const int64_t* offsets, int64_t samples, int rows_per_block, int block) {
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

// With xhat = (u - mean) * reciprocal_std, z = factor * (u - mean) + constant: subtracting first loses no digits.
template <int kWidth>
struct ChannelMap {
  float mean[kWidth], factor[kWidth], constant[kWidth];
  float of_away[kWidth], summand[kWidth];  // with terms: du = factor * dz + of_away * (u - mean) + summand
};

struct Affine {
  const float *gamma, *beta;           // [C]
  const float *scale, *shift;          // null: no modulation
  int64_t scale_stride, shift_stride;  // from sample to sample
  const float *mean, *reciprocal_std;  // [B, groups]
  int groups, group_size;
};

template <int kWidth>
__device__ inline ChannelMap<kWidth> LoadChannelMap(const Affine& affine, int64_t sample, int channel,
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

template <int kWidth, typename T>
__device__ inline void Store(T* data, int64_t index, const float (&value)[kWidth], bool streamed) {
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

// Sums over the threads whose numbers differ by multiples of `width` (kFinishThreads / width a power of two), in a
// fixed order; in the first `width` threads.
template <int kCount>
__device__ inline void SumOverLanes(double (&value)[kCount], int width) {
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

__device__ inline SampleBlocks BlocksOfSample(const int64_t* offsets, int64_t sample, int rows_per_block) {
  SampleBlocks blocks = {};
  for (int64_t b = 0; b <= sample; ++b) {
    blocks.first += blocks.count;
    blocks.rows = static_cast<int>(offsets[b + 1] - offsets[b]);
    blocks.count = (blocks.rows + rows_per_block - 1) / rows_per_block;
  }
  return blocks;
}

inline int64_t RoundUp(int64_t value, int64_t unit) { return CeilDivide(value, unit) * unit; }

// Blocks of rows_per_block rows of each sample.
inline int64_t BlockCount(View<const int64_t, 1> offsets, int64_t rows_per_block) {
  int64_t blocks = 0;
  for (int64_t b = 0; b + 1 < offsets.shape[0]; ++b) {
    blocks += CeilDivide(offsets(b + 1) - offsets(b), rows_per_block);
  }
  return blocks;
}

inline int64_t RowCount(View<const int64_t, 1> offsets) { return offsets(offsets.shape[0] - 1); }

// Rows of a block of sums; by the shape alone, so that sums are.
inline int64_t SumRowsPerBlock(int64_t rows, int64_t channels) {
  int64_t unit = 1;
  while (unit * channels < kSumElements && unit < kSumElements) unit *= 2;
  return RoundUp(std::max<int64_t>(CeilDivide(rows, kSumBlocks), 1), unit);
}

// How the threads of a kernel over rows lie: x along a row's packs, y along rows (a power of two).
struct RowThreads {
  dim3 threads;
  int64_t tiles;  // blocks beside each other along a row
};

inline RowThreads RowThreadsFor(int64_t channels, int width) {
  const int64_t packs = CeilDivide<int64_t>(channels, width);
  const int64_t tiles = CeilDivide<int64_t>(packs, kThreads);
  const int64_t beside = CeilDivide(packs, tiles);
  int64_t lanes = 1;
  while (2 * lanes * beside <= kThreads) lanes *= 2;
  return {dim3(static_cast<unsigned>(beside), static_cast<unsigned>(lanes)), tiles};
}

// Rows of a block that only applies a map: between 4 and 16 a lane, few enough for twice kSumBlocks.
inline int64_t ApplyRowsPerBlock(int64_t rows, const RowThreads& shape) {
  const int64_t lanes = shape.threads.y;
  return lanes * std::clamp<int64_t>(rows / (lanes * 2 * kSumBlocks) / 4 * 4, 4, 16);
}

// Threads beside each other in a finishing kernel.
inline int FinishWidth(int64_t group_size) {
  int width = 1;
  while (width < group_size && width < 128) width *= 2;
  return width;
}

inline Affine AffineOf(const GroupNormParameters& parameters, int64_t channels, const GroupNormOptions& options,
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

template <typename Body>
void DispatchSilu(GroupNormSilu silu, const Body& body) {
  switch (silu) {
    case GroupNormSilu::kNone:
      return body(std::integral_constant<GroupNormSilu, GroupNormSilu::kNone>{});
    case GroupNormSilu::kOfInput:
      return body(std::integral_constant<GroupNormSilu, GroupNormSilu::kOfInput>{});
    case GroupNormSilu::kOfOutput:
      return body(std::integral_constant<GroupNormSilu, GroupNormSilu::kOfOutput>{});
  }
}

// Whether rows behind all these pointers (null among them) can be read in packs.
template <typename T, typename... Pointer>
bool CanPack(int64_t channels, const Pointer*... pointers) {
  return channels * sizeof(T) % 16 == 0 && IsAligned(16, pointers...);
}

}  // namespace group_norm_rows
}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_ROWS_H_
