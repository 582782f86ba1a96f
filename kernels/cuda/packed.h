// Several elements moved by one memory access, and arithmetic in float32 on elements of any feature type. For .cu
// files.
#ifndef CUBIST_KERNELS_CUDA_PACKED_H_
#define CUBIST_KERNELS_CUDA_PACKED_H_

#include <cuda_bf16.h>

#include <cstddef>
#include <cstdint>

namespace cubist {

// Aligned to its size, so that it is read and written by one instruction of up to 16 bytes.
template <typename T, int kCount>
struct Packed {
  alignas(sizeof(T) * kCount) T value[kCount];
};

// `index` counts elements; the address must be aligned to the pack's size.
template <int kCount, typename T>
__device__ inline Packed<T, kCount> LoadPacked(const T* data, int64_t index) {
  return *reinterpret_cast<const Packed<T, kCount>*>(data + index);
}
template <int kCount, typename T>
__device__ inline void StorePacked(T* data, int64_t index, const Packed<T, kCount>& pack) {
  *reinterpret_cast<Packed<T, kCount>*>(data + index) = pack;
}

// a / b for a >= 0 and b > 0: 32-bit division, several times cheaper, wherever both fit.
__device__ inline int64_t Quotient(int64_t a, int64_t b) {
  return ((a | b) >> 32) == 0 ? int64_t{static_cast<uint32_t>(a) / static_cast<uint32_t>(b)} : a / b;
}

__device__ inline float ToFloat(float value) { return value; }
__device__ inline float ToFloat(__nv_bfloat16 value) { return __bfloat162float(value); }

// To the nearest, ties to even.
template <typename T>
__device__ inline T FromFloat(float value) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return value;
  } else {
    return __float2bfloat16_rn(value);
  }
}

// Whether all these addresses (null among them) are multiples of `bytes`.
template <typename... Pointer>
bool IsAligned(size_t bytes, const Pointer*... pointers) {
  return (reinterpret_cast<uintptr_t>(pointers) | ...) % bytes == 0;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_PACKED_H_
