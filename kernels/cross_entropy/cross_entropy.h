// Softmax cross entropy of rows of logits against a class each, and its gradient.
#ifndef CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_H_
#define CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// value[i] = log(sum over k of exp(logits[i][k])) - logits[i][target[i]], in double and free of overflow; 0 where
// target[i] is -1. logits [N, K], target [N] with entries in [-1, K), value [N] written. The caller checks.
template <typename T>
void CrossEntropyForwardCpu(View<const T, 2> logits, View<const int64_t, 1> target, View<T, 1> value);

// dlogits[i][k] = dvalue[i] * (softmax(logits[i])[k] - (k == target[i])), 0 where target[i] is -1. dlogits [N, K] is
// written.
template <typename T>
void CrossEntropyBackwardCpu(View<const T, 2> logits, View<const int64_t, 1> target, View<const T, 1> dvalue,
                             View<T, 2> dlogits);

}  // namespace cubist

#endif  // CUBIST_KERNELS_CROSS_ENTROPY_CROSS_ENTROPY_H_
