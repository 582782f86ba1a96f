// Arrays of random numbers from the counter-based generator: element i of draw n depends on the key
// and on (n, i) alone, so the numbers are the same on every device, rank and thread.
#ifndef CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_H_
#define CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_H_

#include <cstdint>

#include "base/philox.h"
#include "base/view.h"

namespace cubist {

// values[b][i] = standard normal of counter (draws[b], i), computed in double and rounded to T.
// values [B, M] dense, draws [B], each at least 0.
template <typename T>
void RandomNormalCpu(PhiloxKey key, View<const int64_t, 1> draws, View<T, 2> values);

// values[i] = offset + scale * u with u uniform in [0, 1), counter (n, i).
template <typename T>
void RandomUniformCpu(PhiloxKey key, uint64_t n, double offset, double scale, View<T, 1> values);

// values[i] = standard_deviation * g with g standard normal, counter (n, i).
template <typename T>
void RandomScaledNormalCpu(PhiloxKey key, uint64_t n, double standard_deviation, View<T, 1> values);

}  // namespace cubist

#endif  // CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_H_
