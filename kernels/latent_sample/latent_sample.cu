#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/latent_sample/latent_sample_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 128;

// A thread makes a cell, kWidth channels at a time.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    Forward(const T* moments, const float* noise, int64_t cells, int64_t channels, T* z, float* divergence) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= cells) return;
  float sum = 0;
#pragma unroll 2
  for (int64_t c = 0; c < channels; c += kWidth) {
    const auto mean = LoadPacked<kWidth>(moments, 2 * i * channels + c);
    const auto log_variance = LoadPacked<kWidth>(moments, (2 * i + 1) * channels + c);
    Packed<float, kWidth> number = {};
    if (noise != nullptr) number = LoadPacked<kWidth>(noise, i * channels + c);
    Packed<T, kWidth> sample;
    for (int j = 0; j < kWidth; ++j) {
      const float mu = ToFloat(mean.value[j]), l = ToFloat(log_variance.value[j]);
      sample.value[j] = FromFloat<T>(noise == nullptr ? mu : mu + expf(0.5f * l) * number.value[j]);
      // expm1: near the prior exp(l) - 1 - l is a small difference of numbers near 1.
      sum += (expm1f(l) - l) + mu * mu;
    }
    StorePacked(z, i * channels + c, sample);
  }
  divergence[i] = 0.5f * sum;
}

template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    Backward(const T* moments, const float* noise, const T* dz, const float* ddivergence, int64_t cells,
             int64_t channels, T* dmoments) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= cells) return;
  const float weight = ddivergence[i];
#pragma unroll 2
  for (int64_t c = 0; c < channels; c += kWidth) {
    const auto mean = LoadPacked<kWidth>(moments, 2 * i * channels + c);
    const auto log_variance = LoadPacked<kWidth>(moments, (2 * i + 1) * channels + c);
    const auto upstream = LoadPacked<kWidth>(dz, i * channels + c);
    Packed<float, kWidth> number = {};
    if (noise != nullptr) number = LoadPacked<kWidth>(noise, i * channels + c);
    Packed<T, kWidth> dmean, dlog_variance;
    for (int j = 0; j < kWidth; ++j) {
      const float mu = ToFloat(mean.value[j]), l = ToFloat(log_variance.value[j]), d = ToFloat(upstream.value[j]);
      dmean.value[j] = FromFloat<T>(d + weight * mu);
      const float from_noise = noise == nullptr ? 0.0f : d * number.value[j] * expf(0.5f * l);
      dlog_variance.value[j] = FromFloat<T>(0.5f * (from_noise + weight * expm1f(l)));
    }
    StorePacked(dmoments, 2 * i * channels + c, dmean);
    StorePacked(dmoments, (2 * i + 1) * channels + c, dlog_variance);
  }
}

int BlocksFor(int64_t cells) { return static_cast<int>(CeilDivide<int64_t>(cells, kThreads)); }

}  // namespace

template <typename T>
cudaError_t LatentSampleForwardCuda(View<const T, 2> moments, View<const float, 2> noise, View<T, 2> z,
                                    View<float, 1> divergence, cudaStream_t stream) {
  const int64_t cells = moments.shape[0], channels = moments.shape[1] / 2;
  if (cells == 0) return cudaSuccess;
  const bool packed = channels % 4 == 0 && IsAligned(16, moments.data, noise.data, z.data);
  auto* const kernel = packed ? Forward<4, T> : Forward<1, T>;
  kernel<<<BlocksFor(cells), kThreads, 0, stream>>>(moments.data, noise.data, cells, channels, z.data, divergence.data);
  return cudaGetLastError();
}

template <typename T>
cudaError_t LatentSampleBackwardCuda(View<const T, 2> moments, View<const float, 2> noise, View<const T, 2> dz,
                                     View<const float, 1> ddivergence, View<T, 2> dmoments, cudaStream_t stream) {
  const int64_t cells = moments.shape[0], channels = moments.shape[1] / 2;
  if (cells == 0) return cudaSuccess;
  const bool packed = channels % 4 == 0 && IsAligned(16, moments.data, noise.data, dz.data, dmoments.data);
  auto* const kernel = packed ? Backward<4, T> : Backward<1, T>;
  kernel<<<BlocksFor(cells), kThreads, 0, stream>>>(moments.data, noise.data, dz.data, ddivergence.data, cells,
                                                    channels, dmoments.data);
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                         \
  template cudaError_t LatentSampleForwardCuda<T>(View<const T, 2>, View<const float, 2>, View<T, 2>, View<float, 1>, \
                                                  cudaStream_t);                                                      \
  template cudaError_t LatentSampleBackwardCuda<T>(View<const T, 2>, View<const float, 2>, View<const T, 2>,          \
                                                   View<const float, 1>, View<T, 2>, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
