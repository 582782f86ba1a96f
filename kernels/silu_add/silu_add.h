// The sum of a branch's SiLU and another branch, and its gradient: the end of a residual block.
#ifndef CUBIST_KERNELS_SILU_ADD_SILU_ADD_H_
#define CUBIST_KERNELS_SILU_ADD_SILU_ADD_H_

#include "base/view.h"

namespace cubist {

// y = x * sigmoid(x) + residual, element by element. All dense and of one size.
template <typename T>
void SiluAddForwardCpu(View<const T, 1> x, View<const T, 1> residual, View<T, 1> y);

// dx = dy * (s + x * s * (1 - s)) for s = sigmoid(x). The residual's gradient is dy itself.
template <typename T>
void SiluAddBackwardCpu(View<const T, 1> x, View<const T, 1> dy, View<T, 1> dx);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SILU_ADD_SILU_ADD_H_
