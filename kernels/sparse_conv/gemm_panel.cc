#include "kernels/sparse_conv/gemm_panel.h"

#include "base/simd_level.h"

namespace cubist {
namespace {

template <typename T, int kBytes>
struct Vector {
  typedef T Type __attribute__((vector_size(kBytes)));
};

// kRows x kVectors accumulators stay in registers over k.
template <typename T, int kBytes, int kVectors, int kRows>
CUBIST_ALWAYS_INLINE void Tile(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count,
                               T* const* c, int64_t column) {
  using V = typename Vector<T, kBytes>::Type;
  constexpr int kLanes = kBytes / sizeof(T);
  V sum[kRows][kVectors];
  const T* rows[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    rows[r] = a[r];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) __builtin_memcpy(&sum[r][v], c[r] + column + v * kLanes, kBytes);
  }
  const T* panel = b + column;
  for (int64_t k = 0, position = 0; k < count; ++k, position += a_step, panel += b_step) {
    V right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) __builtin_memcpy(&right[v], panel + v * kLanes, kBytes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const T left = rows[r][position];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) __builtin_memcpy(c[r] + column + v * kLanes, &sum[r][v], kBytes);
  }
}

// All rows at one range of columns: the panel of B stays in the first-level cache.
template <typename T, int kBytes, int kVectors, int kRows>
CUBIST_ALWAYS_INLINE void Column(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count,
                                 T* const* c, int64_t row_groups, int64_t column) {
  for (int64_t r = 0; r < row_groups * kPanelRows; r += kRows) {
    Tile<T, kBytes, kVectors, kRows>(a + r, a_step, b, b_step, count, c + r, column);
  }
}

// Tiles of 2 and of 1 vector of kBytes, and of 32 bytes for what remains.
template <typename T, int kBytes, int kRows>
CUBIST_ALWAYS_INLINE void Panel(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count,
                                T* const* c, int64_t row_groups, int64_t columns) {
  constexpr int64_t kLanes = kBytes / sizeof(T);
  int64_t column = 0;
  for (; column + 2 * kLanes <= columns; column += 2 * kLanes) {
    Column<T, kBytes, 2, kRows>(a, a_step, b, b_step, count, c, row_groups, column);
  }
  if constexpr (kBytes >= 32) {
    if (column + kLanes <= columns) {
      Column<T, kBytes, 1, kPanelRows>(a, a_step, b, b_step, count, c, row_groups, column);
      column += kLanes;
    }
  }
  if constexpr (kBytes == 64) {
    if (column < columns) Column<T, 32, 1, kPanelRows>(a, a_step, b, b_step, count, c, row_groups, column);
  }
}

// 32 registers of 64 bytes hold 8 x 2 accumulators, 16 registers of 32 or 16 bytes hold 4 x 2.
template <typename T>
CUBIST_TARGET_AVX512 void PanelAvx512(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count,
                                      T* const* c, int64_t row_groups, int64_t columns) {
  Panel<T, 64, 8>(a, a_step, b, b_step, count, c, row_groups, columns);
}

template <typename T>
CUBIST_TARGET_AVX2 void PanelAvx2(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count,
                                  T* const* c, int64_t row_groups, int64_t columns) {
  Panel<T, 32, 4>(a, a_step, b, b_step, count, c, row_groups, columns);
}

template <typename T>
void PanelBaseline(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count, T* const* c,
                   int64_t row_groups, int64_t columns) {
  Panel<T, 16, 4>(a, a_step, b, b_step, count, c, row_groups, columns);
}

}  // namespace

template <typename T>
void GemmPanel(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count, T* const* c,
               int64_t row_groups, int64_t columns) {
  switch (CurrentSimdLevel()) {
    case SimdLevel::kAvx512:
      return PanelAvx512(a, a_step, b, b_step, count, c, row_groups, columns);
    case SimdLevel::kAvx2:
      return PanelAvx2(a, a_step, b, b_step, count, c, row_groups, columns);
    case SimdLevel::kBaseline:
      return PanelBaseline(a, a_step, b, b_step, count, c, row_groups, columns);
  }
}

template void GemmPanel<float>(const float* const*, int64_t, const float*, int64_t, int64_t, float* const*, int64_t,
                               int64_t);
template void GemmPanel<double>(const double* const*, int64_t, const double*, int64_t, int64_t, double* const*, int64_t,
                                int64_t);

}  // namespace cubist
