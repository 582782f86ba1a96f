#include "base/simd_level.h"

#include <algorithm>
#include <atomic>

namespace cubist {
namespace {

SimdLevel MachineSimdLevel() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return SimdLevel::kAvx512;
  if (avx2) return SimdLevel::kAvx2;
#endif
  return SimdLevel::kBaseline;
}

std::atomic<SimdLevel> level_limit{SimdLevel::kAvx512};

}  // namespace

SimdLevel CurrentSimdLevel() {
  static const SimdLevel machine = MachineSimdLevel();
  return std::min(machine, level_limit.load(std::memory_order_relaxed));
}

void LimitSimdLevel(SimdLevel limit) { level_limit.store(limit, std::memory_order_relaxed); }

}  // namespace cubist
