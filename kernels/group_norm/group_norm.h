// Group normalisation over the rows of sparse voxels, sample by sample, with an optional SiLU, and
// its gradients (Wu and He, "Group normalization", ECCV 2018).
//
// For sample b, group g and its n = rows(b) * C / groups values:
//   xhat = (x - mean) / sqrt(variance + epsilon)     biased variance
//   z    = gamma * xhat + beta                       per channel
//   y    = z, or z * sigmoid(z) with `silu`
// Statistics are added up in double over fixed blocks of rows: results do not depend on the number
// of threads. A sample without rows has no statistics and changes nothing.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

struct GroupNormOptions {
  int64_t groups = 1;     // divides C
  double epsilon = 1e-5;  // added to the variance
  bool silu = false;      // y = z * sigmoid(z)
};

// x [N, C], offsets [B+1] (offsets[0] = 0, ascending, offsets[B] = N), gamma and beta [C]; writes
// y [N, C], and mean and reciprocal standard deviation [B, groups] for the gradient (0 and 0 for
// a sample without rows). x and y have unit stride along channels. The caller checks.
template <typename T>
void GroupNormForwardCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma, const T* beta,
                         const GroupNormOptions& options, View<T, 2> y, View<double, 2> mean,
                         View<double, 2> reciprocal_std);

// Gradients from dy [N, C] and what the forward saw and wrote. With dz = dy * dy/dz, h = dz * gamma
// and means over the n values of a (sample, group):
//   dx = reciprocal_std * (h - mean(h) - xhat * mean(h * xhat)),
//   dgamma = sum dz * xhat,   dbeta = sum dz.
// All three are written.
template <typename T>
void GroupNormBackwardCpu(View<const T, 2> dy, View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma,
                          const T* beta, const GroupNormOptions& options, View<const double, 2> mean,
                          View<const double, 2> reciprocal_std, View<T, 2> dx, T* dgamma, T* dbeta);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_
