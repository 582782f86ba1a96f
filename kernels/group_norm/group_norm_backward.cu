// 1. Two sums of each channel over blocks of rows; 2. the parameters' gradients, and two numbers for each (sample,
// group); 3. dx, walking backwards: what the first read last is still in the L2 cache.
#include "kernels/group_norm/group_norm_rows.h"

namespace cubist {
namespace {

using namespace group_norm_rows;  // the kernels' own

// What an element of x and dy comes to: u - mean, the gradient of z, and du / dx.
struct Element {
  float away, dz, slope;
};

template <GroupNormSilu kSilu, int kWidth>
__device__ Element ElementOf(const ChannelMap<kWidth>& map, int j, float x, float dy) {
  SiluValue u = {x, 1.0f};
  if (kSilu == GroupNormSilu::kOfInput) u = Silu(x);
  const float away = u.value - map.mean[j];
  if (kSilu == GroupNormSilu::kOfOutput) dy *= Silu(away * map.factor[j] + map.constant[j]).slope;
  return {away, dy, u.slope};
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

// One block's sums [2, C] at `sums`: of dz, and of dz * (u - mean).
template <typename T, int kWidth, GroupNormSilu kSilu>
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
        const Element element = ElementOf<kSilu>(map, j, ToFloat(x_pack.value[j]), ToFloat(dy_pack.value[j]));
        sum[j] += element.dz;
        sum_away[j] += element.dz * element.away;
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
// terms[(b * groups + g) * 2] what du takes besides dz: of_away and summand.
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

template <typename T, int kWidth, GroupNormSilu kSilu, bool kAddend>
__global__ void __launch_bounds__(kThreads, kBlocksOfGradient)
    ApplyGradient(const T* dy, const T* x, const int64_t* offsets, int64_t samples, int channels, int rows_per_block,
                  Affine affine, const float* terms, const T* addend, T* dx, bool streamed) {
  const SampleRows part = RowsOfBlock(offsets, samples, rows_per_block, gridDim.x - 1 - blockIdx.x);
  const int channel = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  if (channel >= channels || part.rows == 0) return;
  const ChannelMap<kWidth> map = LoadChannelMap<kWidth>(affine, part.sample, channel, terms);
  const int64_t origin = part.begin * channels + channel;
  dy += origin;
  x += origin;
  if (kAddend) addend += origin;
  dx += origin;
  const int step = blockDim.y * channels;
  for (int last = (part.rows - 1 - static_cast<int>(threadIdx.y)) * channels; last >= 0; last -= kPacksOfTwo * step) {
    Packed<T, kWidth> dy_pack[kPacksOfTwo], x_pack[kPacksOfTwo], addend_pack[kPacksOfTwo];
    for (int i = 0; i < kPacksOfTwo; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      dy_pack[i] = LoadLast<kWidth>(dy, at);
      x_pack[i] = LoadLast<kWidth>(x, at);
      if (kAddend) addend_pack[i] = LoadLast<kWidth>(addend, at);
    }
    for (int i = 0; i < kPacksOfTwo; ++i) {
      const int at = last - i * step;
      if (at < 0) break;
      float value[kWidth];
      for (int j = 0; j < kWidth; ++j) {
        const Element element = ElementOf<kSilu>(map, j, ToFloat(x_pack[i].value[j]), ToFloat(dy_pack[i].value[j]));
        value[j] = map.factor[j] * element.dz + (map.of_away[j] * element.away + map.summand[j]);
        if (kSilu == GroupNormSilu::kOfInput) value[j] *= element.slope;
        if (kAddend) value[j] += ToFloat(addend_pack[i].value[j]);
      }
      Store(dx, at, value, streamed);
    }
  }
}

}  // namespace

template <typename T>
cudaError_t GroupNormBackwardCuda(const T* dy, View<const T, 2> x, const GroupNormOffsets& offsets,
                                  const GroupNormParameters& parameters, const GroupNormOptions& options,
                                  const float* mean, const float* reciprocal_std, const T* addend, T* dx,
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
  DispatchWidth<T>(CanPack<T>(channels, dy, x.data, addend, dx), [&](auto width) {
    DispatchSilu(options.silu, [&](auto silu) {
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
        DispatchBool(addend != nullptr, [&](auto with_addend) {
          ApplyGradient<T, width, silu, with_addend><<<grid, shape.threads, 0, stream>>>(
              dy, x.data, offsets.device, samples, channel_count, static_cast<int>(rows_per_block), affine, terms,
              addend, dx, streamed);
        });
      }
    });
  });
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                   \
  template cudaError_t GroupNormBackwardCuda<T>(                                                                \
      const T*, View<const T, 2>, const GroupNormOffsets&, const GroupNormParameters&, const GroupNormOptions&, \
      const float*, const float*, const T*, T*, const GroupNormParameterGradients&, void*, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
