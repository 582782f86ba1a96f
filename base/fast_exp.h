// exp and the logistic function for loops that are to become vector code, in float and double.
#ifndef CUBIST_BASE_FAST_EXP_H_
#define CUBIST_BASE_FAST_EXP_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/simd_level.h"

namespace cubist {

// exp(x) for x in [-87, 88], relative error about 2e-7: 2^n e^r with |r| <= ln(2) / 2 and the series of
// e^r up to r^6 / 720. Loops over it become vector code, unlike loops over std::exp.
CUBIST_ALWAYS_INLINE float FastExp(float x) {
  x = std::min(88.0f, std::max(-87.0f, x));
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  // ln(2) in two parts, so that r keeps its low bits.
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  __builtin_memcpy(&power, &exponent, sizeof(power));
  return p * power;
}
CUBIST_ALWAYS_INLINE double FastExp(double x) { return std::exp(x); }

// 1 / (1 + exp(-z)).
template <typename T>
CUBIST_ALWAYS_INLINE T Sigmoid(T z) {
  return T{1} / (T{1} + FastExp(-z));
}

}  // namespace cubist

#endif  // CUBIST_BASE_FAST_EXP_H_
