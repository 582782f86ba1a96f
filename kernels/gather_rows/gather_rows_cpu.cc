#include <algorithm>

#include "base/parallel_for.h"
#include "kernels/gather_rows/gather_rows.h"
#include "kernels/gather_rows/row_groups.h"

namespace cubist {
namespace {

constexpr int64_t kRowBlock = 1024;

}  // namespace

template <typename T>
void GatherRowsForwardCpu(View<const T, 2> x, View<const int64_t, 1> index, View<T, 2> y) {
  const int64_t channels = x.shape[1];
  ParallelFor(index.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = y.data + i * y.stride[0];
      if (index(i) < 0) {
        std::fill_n(to, channels, T{0});
      } else {
        std::copy_n(x.data + index(i) * x.stride[0], channels, to);
      }
    }
  });
}

template <typename T>
void GatherRowsBackwardCpu(View<const T, 2> dy, View<const int64_t, 1> index, View<T, 2> dx) {
  const int64_t channels = dx.shape[1];
  const RowGroups groups = GroupRows(index, dx.shape[0]);
  ParallelFor(dx.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* to = dx.data + r * dx.stride[0];
      std::fill_n(to, channels, T{0});
      for (int64_t k = groups.offsets[r]; k < groups.offsets[r + 1]; ++k) {
        const T* from = dy.data + groups.members[k] * dy.stride[0];
        for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
      }
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                                  \
  template void GatherRowsForwardCpu<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>); \
  template void GatherRowsBackwardCpu<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
