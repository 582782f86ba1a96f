// Which vector instructions this machine has, for kernels that come in several machine codes. We choose
// by hand instead of by target_clones: its resolvers run before sanitizers are ready.
#ifndef CUBIST_BASE_SIMD_LEVEL_H_
#define CUBIST_BASE_SIMD_LEVEL_H_

// Functions with these attributes may only be called at that SimdLevel or above. Their body is a
// CUBIST_ALWAYS_INLINE function, compiled anew inside each.
#define CUBIST_ALWAYS_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define CUBIST_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define CUBIST_TARGET_AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define CUBIST_TARGET_AVX2
#define CUBIST_TARGET_AVX512
#endif

namespace cubist {

enum class SimdLevel { kBaseline = 0, kAvx2 = 1, kAvx512 = 2 };

// The highest level that this machine can run, or the limit below if that is lower.
SimdLevel CurrentSimdLevel();

// For tests: kernels started later use no more than `limit`.
void LimitSimdLevel(SimdLevel limit);

}  // namespace cubist

#endif  // CUBIST_BASE_SIMD_LEVEL_H_
