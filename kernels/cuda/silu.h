// SiLU, x * sigmoid(x), and its derivative in float32. For .cu files.
#ifndef CUBIST_KERNELS_CUDA_SILU_H_
#define CUBIST_KERNELS_CUDA_SILU_H_

namespace cubist {

// 1 / (1 + exp(-z)) by the special function units, relative error about 1e-6; 0 and 1 where exp leaves float's range.
__device__ inline float Sigmoid(float z) {
  float power, reciprocal;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(z * -1.4426950409f));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(1.0f + power));
  return reciprocal;
}

struct SiluValue {
  float value, slope;
};

// SiLU and its derivative at z.
__device__ inline SiluValue Silu(float z) {
  const float s = Sigmoid(z);
  return {z * s, s + z * s * (1.0f - s)};
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_SILU_H_
