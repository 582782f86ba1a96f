#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/cuda/silu.h"
#include "kernels/silu_add/silu_add_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;
// Packs of each array that a thread has in flight.
constexpr int kPacks = 2;

// The forward is SiLU of x plus `other`, the backward its derivative times `other`.
template <int kWidth, bool kBackward, typename T>
__global__ void __launch_bounds__(kThreads) Map(const T* x, const T* other, int64_t packs, T* out) {
  const int64_t first = int64_t{blockIdx.x} * (kPacks * kThreads) + threadIdx.x;
  Packed<T, kWidth> x_pack[kPacks], other_pack[kPacks];
  for (int i = 0; i < kPacks; ++i) {
    const int64_t pack = first + i * kThreads;
    if (pack >= packs) break;
    x_pack[i] = LoadPacked<kWidth>(x, pack * kWidth);
    other_pack[i] = LoadPacked<kWidth>(other, pack * kWidth);
  }
  for (int i = 0; i < kPacks; ++i) {
    const int64_t pack = first + i * kThreads;
    if (pack >= packs) break;
    Packed<T, kWidth> result;
    for (int j = 0; j < kWidth; ++j) {
      const SiluValue silu = Silu(ToFloat(x_pack[i].value[j]));
      const float value = ToFloat(other_pack[i].value[j]);
      result.value[j] = FromFloat<T>(kBackward ? silu.slope * value : silu.value + value);
    }
    StorePacked(out, pack * kWidth, result);
  }
}

template <bool kBackward, typename T>
cudaError_t Launch(View<const T, 1> x, View<const T, 1> other, View<T, 1> out, cudaStream_t stream) {
  constexpr int kWidth = 16 / sizeof(T);
  const int64_t size = x.shape[0];
  if (size == 0) return cudaSuccess;
  const bool packed = size % kWidth == 0 && IsAligned(16, x.data, other.data, out.data);
  const int64_t packs = packed ? size / kWidth : size;
  const int64_t blocks = CeilDivide<int64_t>(packs, kPacks * kThreads);
  if (blocks > INT32_MAX) return cudaErrorInvalidValue;
  auto* const kernel = packed ? Map<kWidth, kBackward, T> : Map<1, kBackward, T>;
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(x.data, other.data, packs, out.data);
  return cudaGetLastError();
}

}  // namespace

template <typename T>
cudaError_t SiluAddForwardCuda(View<const T, 1> x, View<const T, 1> residual, View<T, 1> y, cudaStream_t stream) {
  return Launch<false>(x, residual, y, stream);
}

template <typename T>
cudaError_t SiluAddBackwardCuda(View<const T, 1> x, View<const T, 1> dy, View<T, 1> dx, cudaStream_t stream) {
  return Launch<true>(x, dy, dx, stream);
}

#define CUBIST_INSTANTIATE(T)                                                                               \
  template cudaError_t SiluAddForwardCuda<T>(View<const T, 1>, View<const T, 1>, View<T, 1>, cudaStream_t); \
  template cudaError_t SiluAddBackwardCuda<T>(View<const T, 1>, View<const T, 1>, View<T, 1>, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
