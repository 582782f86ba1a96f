#include <algorithm>

#include "base/parallel_for.h"
#include "kernels/gather_rows/row_groups.h"
#include "kernels/max_pool/max_pool.h"

namespace cubist {
namespace {

constexpr int64_t kRowBlock = 1024;

}  // namespace

template <typename T>
void MaxPoolForwardCpu(View<const T, 2> x, View<const int64_t, 1> parent, View<T, 2> y, View<int64_t, 2> argmax) {
  const int64_t channels = x.shape[1];
  const RowGroups groups = GroupRows(parent, y.shape[0]);
  ParallelFor(y.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* best = y.data + r * y.stride[0];
      int64_t* where = argmax.data + r * argmax.stride[0];
      const int64_t first = groups.offsets[r], last = groups.offsets[r + 1];
      if (first == last) {
        std::fill_n(best, channels, T{0});
        std::fill_n(where, channels, int64_t{-1});
        continue;
      }
      std::copy_n(x.data + groups.members[first] * x.stride[0], channels, best);
      std::fill_n(where, channels, groups.members[first]);
      for (int64_t k = first + 1; k < last; ++k) {
        const T* row = x.data + groups.members[k] * x.stride[0];
        for (int64_t c = 0; c < channels; ++c) {
          const bool greater = row[c] > best[c];
          best[c] = greater ? row[c] : best[c];
          where[c] = greater ? groups.members[k] : where[c];
        }
      }
    }
  });
}

template <typename T>
void MaxPoolBackwardCpu(View<const T, 2> dy, View<const int64_t, 2> argmax, View<T, 2> dx) {
  const int64_t channels = dx.shape[1];
  ParallelFor(dx.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::fill_n(dx.data + i * dx.stride[0], channels, T{0});
  });
  // No fine row has two coarse rows, so no two coarse rows write the same place.
  ParallelFor(dy.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = argmax(r, c);
        if (i >= 0) dx.data[i * dx.stride[0] + c] = dy.data[r * dy.stride[0] + c];
      }
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                                                 \
  template void MaxPoolForwardCpu<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>, View<int64_t, 2>); \
  template void MaxPoolBackwardCpu<T>(View<const T, 2>, View<const int64_t, 2>, View<T, 2>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
