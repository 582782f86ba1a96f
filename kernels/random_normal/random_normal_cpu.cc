#include "base/parallel_for.h"
#include "kernels/random_normal/random_normal.h"

namespace cubist {
namespace {

constexpr int64_t kBlock = 8192;

}  // namespace

template <typename T>
void RandomNormalCpu(PhiloxKey key, View<const int64_t, 1> draws, View<T, 2> values) {
  const int64_t elements = values.shape[1];
  for (int64_t b = 0; b < values.shape[0]; ++b) {
    const uint64_t n = static_cast<uint64_t>(draws(b));
    T* const row = values.data + b * values.stride[0];
    ParallelFor(elements, kBlock, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) row[i] = static_cast<T>(PhiloxNormal(key, n, static_cast<uint64_t>(i)));
    });
  }
}

template <typename T>
void RandomUniformCpu(PhiloxKey key, uint64_t n, double offset, double scale, View<T, 1> values) {
  ParallelFor(values.shape[0], kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      values(i) = static_cast<T>(offset + scale * PhiloxUniform(key, n, static_cast<uint64_t>(i)));
    }
  });
}

template <typename T>
void RandomScaledNormalCpu(PhiloxKey key, uint64_t n, double standard_deviation, View<T, 1> values) {
  ParallelFor(values.shape[0], kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      values(i) = static_cast<T>(standard_deviation * PhiloxNormal(key, n, static_cast<uint64_t>(i)));
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                         \
  template void RandomNormalCpu<T>(PhiloxKey, View<const int64_t, 1>, View<T, 2>);    \
  template void RandomUniformCpu<T>(PhiloxKey, uint64_t, double, double, View<T, 1>); \
  template void RandomScaledNormalCpu<T>(PhiloxKey, uint64_t, double, View<T, 1>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
