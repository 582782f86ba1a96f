// random_normal.h on a GPU, for float. Launchers as kernels/cuda/launch.h says.
//
// The random bits and the uniform numbers are those of the host, bit by bit. Normal numbers are worked out in double,
// where the host's and the device's logarithm and cosine may differ in their last bits; rounded to float nearly all
// are equal, and the others are neighbours.
#ifndef CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_CUDA_H_
#define CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/philox.h"
#include "base/view.h"

namespace cubist {

// As RandomNormalCpu; draws lie on the device.
cudaError_t RandomNormalCuda(PhiloxKey key, View<const int64_t, 1> draws, View<float, 2> values, cudaStream_t stream);

// As RandomUniformCpu.
cudaError_t RandomUniformCuda(PhiloxKey key, uint64_t n, double offset, double scale, View<float, 1> values,
                              cudaStream_t stream);

// As RandomScaledNormalCpu.
cudaError_t RandomScaledNormalCuda(PhiloxKey key, uint64_t n, double standard_deviation, View<float, 1> values,
                                   cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_RANDOM_NORMAL_RANDOM_NORMAL_CUDA_H_
