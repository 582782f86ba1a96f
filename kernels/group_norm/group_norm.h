// Group normalisation over the rows of voxels, sample by sample, with what often stands before it (SiLU) or follows it
// (a modulation of each sample's channels, SiLU, the sum with another branch), and its gradients (Wu and He, "Group
// normalization", ECCV 2018).
//
// For sample b, group g and its n = rows(b) * C / groups values:
//   u    = x, or x * sigmoid(x) with SiLU of the input
//   xhat = (u - mean) / sqrt(variance + epsilon)     mean and biased variance of u
//   z    = gamma * xhat + beta                       per channel
//   z    = z * (1 + scale[b]) + shift[b]             per sample and channel, if modulated
//   y    = z, or z * sigmoid(z) with SiLU of the output
//   y    = y + residual                              if there is one
// Statistics are added up in double over fixed blocks of rows: results do not depend on the number
// of threads. A sample without rows has no statistics and changes nothing.
#ifndef CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_
#define CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Where SiLU is applied; on one side at most.
enum class GroupNormSilu { kNone, kOfInput, kOfOutput };

struct GroupNormOptions {
  int64_t groups = 1;     // divides C
  double epsilon = 1e-5;  // added to the variance
  GroupNormSilu silu = GroupNormSilu::kNone;
};

// Factor and summand of each sample's channels, [B, C] with unit stride along channels; without data: none.
template <typename T>
struct GroupNormModulation {
  View<const T, 2> scale, shift;
};

// Of u from x [N, C], offsets [B+1] (offsets[0] = 0, ascending, offsets[B] = N): writes mean and reciprocal standard
// deviation [B, groups], 0 and 0 for a sample without rows. x has unit stride along channels. The caller checks.
template <typename T>
void GroupNormStatisticsCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const GroupNormOptions& options,
                            View<double, 2> mean, View<double, 2> reciprocal_std);

// Writes y [N, C] from x, its statistics, gamma and beta [C], and where they have data modulation and residual
// [N, C]. Unit stride along channels.
template <typename T>
void GroupNormApplyCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma, const T* beta,
                       const GroupNormOptions& options, View<const double, 2> mean,
                       View<const double, 2> reciprocal_std, View<T, 2> y,
                       const GroupNormModulation<T>& modulation = {}, View<const T, 2> residual = {});

// Both of them, without modulation and residual.
template <typename T>
void GroupNormForwardCpu(View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma, const T* beta,
                         const GroupNormOptions& options, View<T, 2> y, View<double, 2> mean,
                         View<double, 2> reciprocal_std) {
  GroupNormStatisticsCpu<T>(x, offsets, options, mean, reciprocal_std);
  GroupNormApplyCpu<T>(x, offsets, gamma, beta, options, mean, reciprocal_std, y);
}

// Gradients from dy [N, C] and what the forward saw and wrote. With dz the gradient of the last z,
// factor = gamma * (1 + scale), h = dz * factor and means over the n values of a (sample, group):
//   du = reciprocal_std * (h - mean(h) - xhat * mean(h * xhat)),
//   dx = du, with SiLU of the input du * (s + x * s * (1 - s)) for s = sigmoid(x);  dx = dx + addend if there is one,
//   dgamma = sum dz * xhat * (1 + scale),              dbeta = sum dz * (1 + scale)         over all rows,
//   dscale[b] = sum dz * (gamma * xhat + beta),        dshift[b] = sum dz                   over the sample's rows.
// All are written, dscale and dshift [B, C] only with modulation. The residual's gradient is dy itself. The addend [N,
// C] is x's gradient from elsewhere.
template <typename T>
void GroupNormBackwardCpu(View<const T, 2> dy, View<const T, 2> x, View<const int64_t, 1> offsets, const T* gamma,
                          const T* beta, const GroupNormOptions& options, View<const double, 2> mean,
                          View<const double, 2> reciprocal_std, View<T, 2> dx, T* dgamma, T* dbeta,
                          const GroupNormModulation<T>& modulation = {}, View<T, 2> dscale = {}, View<T, 2> dshift = {},
                          View<const T, 2> addend = {});

}  // namespace cubist

#endif  // CUBIST_KERNELS_GROUP_NORM_GROUP_NORM_H_
