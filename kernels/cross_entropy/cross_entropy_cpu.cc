#include <algorithm>
#include <cmath>

#include "base/parallel_for.h"
#include "kernels/cross_entropy/cross_entropy.h"

namespace cubist {
namespace {

constexpr int64_t kRowBlock = 1024;

// exp(logit - maximum) adds up to `sum` over the row.
struct RowSum {
  double maximum, sum;
};

template <typename T>
RowSum SumRow(View<const T, 2> logits, int64_t i) {
  double maximum = static_cast<double>(logits(i, 0));
  for (int64_t k = 1; k < logits.shape[1]; ++k) maximum = std::max(maximum, static_cast<double>(logits(i, k)));
  double sum = 0;
  for (int64_t k = 0; k < logits.shape[1]; ++k) sum += std::exp(static_cast<double>(logits(i, k)) - maximum);
  return {maximum, sum};
}

}  // namespace

template <typename T>
void CrossEntropyForwardCpu(View<const T, 2> logits, View<const int64_t, 1> target, View<T, 1> value) {
  ParallelFor(logits.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      value(i) = T{0};
      if (target(i) < 0) continue;
      const RowSum row = SumRow(logits, i);
      value(i) = static_cast<T>(row.maximum - static_cast<double>(logits(i, target(i))) + std::log(row.sum));
    }
  });
}

template <typename T>
void CrossEntropyBackwardCpu(View<const T, 2> logits, View<const int64_t, 1> target, View<const T, 1> dvalue,
                             View<T, 2> dlogits) {
  ParallelFor(logits.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const RowSum row = target(i) < 0 ? RowSum{0, 1} : SumRow(logits, i);
      for (int64_t k = 0; k < logits.shape[1]; ++k) {
        const double softmax = std::exp(static_cast<double>(logits(i, k)) - row.maximum) / row.sum;
        const double gradient = static_cast<double>(dvalue(i)) * (softmax - (k == target(i) ? 1.0 : 0.0));
        dlogits(i, k) = target(i) < 0 ? T{0} : static_cast<T>(gradient);
      }
    }
  });
}

#define CUBIST_INSTANTIATE(T)                                                                    \
  template void CrossEntropyForwardCpu<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 1>); \
  template void CrossEntropyBackwardCpu<T>(View<const T, 2>, View<const int64_t, 1>, View<const T, 1>, View<T, 2>)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
