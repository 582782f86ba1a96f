#include <cmath>

#include "base/parallel_for.h"
#include "kernels/latent_sample/latent_sample.h"

namespace cubist {
namespace {

constexpr int64_t kRowBlock = 1024;

}  // namespace

template <typename T>
void LatentSampleForwardCpu(View<const T, 2> moments, View<const T, 2> noise, View<T, 2> z, View<T, 1> divergence) {
  const int64_t channels = moments.shape[1] / 2;
  ParallelFor(moments.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (int64_t c = 0; c < channels; ++c) {
        const double mean = moments(i, c), log_variance = moments(i, channels + c);
        const double deviation = std::exp(0.5 * log_variance);
        z(i, c) = static_cast<T>(noise.data == nullptr ? mean : mean + deviation * noise(i, c));
        sum += deviation * deviation + mean * mean - 1.0 - log_variance;
      }
      divergence(i) = static_cast<T>(0.5 * sum);
    }
  });
}

template <typename T>
void LatentSampleBackwardCpu(View<const T, 2> moments, View<const T, 2> noise, View<const T, 2> dz,
                             View<const T, 1> ddivergence, View<T, 2> dmoments) {
  const int64_t channels = moments.shape[1] / 2;
  ParallelFor(moments.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double weight = ddivergence(i);
      for (int64_t c = 0; c < channels; ++c) {
        const double mean = moments(i, c), deviation = std::exp(0.5 * moments(i, channels + c));
        const double from_noise = noise.data == nullptr ? 0.0 : 0.5 * dz(i, c) * noise(i, c) * deviation;
        dmoments(i, c) = static_cast<T>(dz(i, c) + weight * mean);
        dmoments(i, channels + c) = static_cast<T>(from_noise + 0.5 * weight * (deviation * deviation - 1.0));
      }
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                                                      \
  template void LatentSampleForwardCpu<T>(View<const T, 2>, View<const T, 2>, View<T, 2>, View<T, 1>);             \
  template void LatentSampleBackwardCpu<T>(View<const T, 2>, View<const T, 2>, View<const T, 2>, View<const T, 1>, \
                                           View<T, 2>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
