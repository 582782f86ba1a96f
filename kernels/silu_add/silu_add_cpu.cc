#include "base/fast_exp.h"
#include "base/parallel_for.h"
#include "kernels/silu_add/silu_add.h"

namespace cubist {
namespace {

constexpr int64_t kBlock = 1 << 14;

// out = operation(x, other).
template <typename T, typename Operation>
void Map(View<const T, 1> x, View<const T, 1> other, View<T, 1> out, const Operation& operation) {
  const T *const x_data = x.data, *const other_data = other.data;
  T* const out_data = out.data;
  ParallelFor(x.shape[0], kBlock, [&](int64_t begin, int64_t end) {
#pragma GCC ivdep
    for (int64_t i = begin; i < end; ++i) out_data[i] = operation(x_data[i], other_data[i]);
  });
}

}  // namespace

template <typename T>
void SiluAddForwardCpu(View<const T, 1> x, View<const T, 1> residual, View<T, 1> y) {
  Map(x, residual, y, [](T value, T other) { return value * Sigmoid(value) + other; });
}

template <typename T>
void SiluAddBackwardCpu(View<const T, 1> x, View<const T, 1> dy, View<T, 1> dx) {
  Map(x, dy, dx, [](T value, T gradient) {
    const T s = Sigmoid(value);
    return gradient * (s * (T{1} + value * (T{1} - s)));
  });
}

#define CUBIST_INSTANTIATE(T)                                                         \
  template void SiluAddForwardCpu<T>(View<const T, 1>, View<const T, 1>, View<T, 1>); \
  template void SiluAddBackwardCpu<T>(View<const T, 1>, View<const T, 1>, View<T, 1>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
