// A sample of a normal distribution with a diagonal covariance, its divergence from the standard normal one, and their
// gradients: the latent of a variational autoencoder (Kingma and Welling, "Auto-encoding variational Bayes", 2014).
#ifndef CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_H_
#define CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_H_

#include "base/view.h"

namespace cubist {

// moments [M, 2C] holds mu = moments[:, 0 .. C) and l = moments[:, C .. 2C), the logarithm of the variance; noise [M,
// C].
//   z[i][c]       = mu + exp(l / 2) * noise, or mu where noise.data is null      [M, C] written
//   divergence[i] = 0.5 * sum over c of (exp(l) + mu^2 - 1 - l)                  [M] written
// Worked out in double.
template <typename T>
void LatentSampleForwardCpu(View<const T, 2> moments, View<const T, 2> noise, View<T, 2> z, View<T, 1> divergence);

// dmoments [M, 2C] is written:
//   dmu = dz + ddivergence * mu
//   dl  = dz * noise * exp(l / 2) / 2 + ddivergence * (exp(l) - 1) / 2
template <typename T>
void LatentSampleBackwardCpu(View<const T, 2> moments, View<const T, 2> noise, View<const T, 2> dz,
                             View<const T, 1> ddivergence, View<T, 2> dmoments);

}  // namespace cubist

#endif  // CUBIST_KERNELS_LATENT_SAMPLE_LATENT_SAMPLE_H_
