// 1. Moments of each channel over blocks of rows, merged as Chan, Golub and LeVeque do (so that no mean is too far from
// zero); 2. blocks and channels to the statistics of (sample, group); 3. y, walking backwards: what the first read last
// is still in the L2 cache.
#include "kernels/group_norm/group_norm_rows.h"

namespace cubist {
namespace {

using namespace group_norm_rows;  // the kernels' own

template <bool kSilu>
__device__ float Activated(float value) {
  return kSilu ? Silu(value).value : value;
}

// Number, mean and sum of squared deviations of a set of values, for kWidth channels.
template <int kWidth>
struct Moments {
  float count, mean[kWidth], square[kWidth];
};

// One block's moments [2, C] at `moments`, of x or with kSilu of its SiLU.
template <typename T, int kWidth, bool kSilu>
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
          value[i] = Activated<kSilu>(ToFloat(pack[i].value[j]));
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
        const float value = Activated<kSilu>(ToFloat(pack.value[j])), away = value - own.mean[j];
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

template <typename T, int kWidth, GroupNormSilu kSilu, bool kResidual>
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
        const float u = Activated<kSilu == GroupNormSilu::kOfInput>(ToFloat(pack[i].value[j]));
        const float z = (u - map.mean[j]) * map.factor[j] + map.constant[j];
        value[j] = Activated<kSilu == GroupNormSilu::kOfOutput>(z);
        if (kResidual) value[j] += ToFloat(other[i].value[j]);
      }
      Store(y, at, value, streamed);
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
      DispatchBool(options.silu == GroupNormSilu::kOfInput, [&](auto silu) {
        BlockMoments<T, width, silu><<<grid, shape.threads, 0, stream>>>(
            x.data, offsets.device, samples, static_cast<int>(channels), static_cast<int>(rows_per_block), moments);
      });
    });
  }
  if (samples > 0) {
    const int64_t group_size = channels / options.groups;
    FinishStatistics<<<dim3(static_cast<unsigned>(options.groups), static_cast<unsigned>(samples)), kFinishThreads, 0,
                       stream>>>(moments, offsets.device, static_cast<int>(channels), static_cast<int>(group_size),
                                 FinishWidth(group_size), static_cast<int>(rows_per_block), options.epsilon, mean,
                                 reciprocal_std);
  }
  return cudaGetLastError();
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
    DispatchSilu(options.silu, [&](auto silu) {
      DispatchBool(residual != nullptr, [&](auto with_residual) {
        Apply<T, width, silu, with_residual>
            <<<grid, shape.threads, 0, stream>>>(x.data, offsets.device, samples, static_cast<int>(channels),
                                                 static_cast<int>(rows_per_block), affine, residual, y, streamed);
      });
    });
  });
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                         \
  template cudaError_t GroupNormStatisticsCuda<T>(View<const T, 2>, const GroupNormOffsets&, const GroupNormOptions&, \
                                                  float*, float*, void*, cudaStream_t);                               \
  template cudaError_t GroupNormApplyCuda<T>(View<const T, 2>, const GroupNormOffsets&, const GroupNormParameters&,   \
                                             const GroupNormOptions&, const float*, const float*, const T*, T*,       \
                                             cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
