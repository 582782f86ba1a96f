// Compiled without fused multiply-add (BUILD), for the host's bits.
#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/random_normal/random_normal_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;

struct NormalOfDraw {
  PhiloxKey key;
  View<const int64_t, 1> draws;
  __device__ double operator()(int64_t b, int64_t i) const {
    return PhiloxNormal(key, static_cast<uint64_t>(draws(b)), static_cast<uint64_t>(i));
  }
};

struct Uniform {
  PhiloxKey key;
  uint64_t n;
  double offset, scale;
  __device__ double operator()(int64_t, int64_t i) const {
    return offset + scale * PhiloxUniform(key, n, static_cast<uint64_t>(i));
  }
};

struct ScaledNormal {
  PhiloxKey key;
  uint64_t n;
  double standard_deviation;
  __device__ double operator()(int64_t, int64_t i) const {
    return standard_deviation * PhiloxNormal(key, n, static_cast<uint64_t>(i));
  }
};

// Sample b in blockIdx.y.
template <typename Number>
__global__ void __launch_bounds__(kThreads) FillRows(View<float, 2> values, Number number) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t b = blockIdx.y; b < values.shape[0]; b += gridDim.y) {
    for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < values.shape[1]; i += stride) {
      values(b, i) = static_cast<float>(number(b, i));
    }
  }
}

template <typename Number>
cudaError_t LaunchFill(View<float, 2> values, Number number, cudaStream_t stream) {
  if (values.size() == 0) return cudaSuccess;
  const dim3 blocks(static_cast<unsigned>(std::min<int64_t>(CeilDivide<int64_t>(values.shape[1], kThreads), 1 << 20)),
                    static_cast<unsigned>(std::min<int64_t>(values.shape[0], 65535)));
  FillRows<<<blocks, kThreads, 0, stream>>>(values, number);
  return cudaGetLastError();
}

// One row; its stride is not used.
View<float, 2> AsRow(View<float, 1> values) {
  return View<float, 2>(values.data, {1, values.shape[0]}, {values.shape[0], values.stride[0]});
}

}  // namespace

cudaError_t RandomNormalCuda(PhiloxKey key, View<const int64_t, 1> draws, View<float, 2> values, cudaStream_t stream) {
  return LaunchFill(values, NormalOfDraw{key, draws}, stream);
}

cudaError_t RandomUniformCuda(PhiloxKey key, uint64_t n, double offset, double scale, View<float, 1> values,
                              cudaStream_t stream) {
  return LaunchFill(AsRow(values), Uniform{key, n, offset, scale}, stream);
}

cudaError_t RandomScaledNormalCuda(PhiloxKey key, uint64_t n, double standard_deviation, View<float, 1> values,
                                   cudaStream_t stream) {
  return LaunchFill(AsRow(values), ScaledNormal{key, n, standard_deviation}, stream);
}

}  // namespace cubist
