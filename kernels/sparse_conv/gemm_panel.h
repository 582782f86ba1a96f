// The inner product kernel of the sparse convolution: eight rows of A at any addresses times a dense
// panel B, added to eight rows of C at any addresses.
#ifndef CUBIST_KERNELS_SPARSE_CONV_GEMM_PANEL_H_
#define CUBIST_KERNELS_SPARSE_CONV_GEMM_PANEL_H_

#include <cstdint>

namespace cubist {

inline constexpr int64_t kPanelRows = 8;

// Columns of B and C are padded to a multiple of this (32 bytes).
template <typename T>
inline constexpr int64_t kPanelColumns = 32 / sizeof(T);

template <typename T>
constexpr int64_t PaddedColumns(int64_t columns) {
  return (columns + kPanelColumns<T> - 1) / kPanelColumns<T> * kPanelColumns<T>;
}

// For r in [0, kPanelRows * row_groups) and j in [0, columns):
//   c[r][j] += sum_k a[r][k * a_step] * b[k * b_step + j],   k = 0 .. count-1 ascending.
// columns is a multiple of kPanelColumns<T>. Rows of C must differ within a group of kPanelRows, unless
// what they hold is not read.
template <typename T>
void GemmPanel(const T* const* a, int64_t a_step, const T* b, int64_t b_step, int64_t count, T* const* c,
               int64_t row_groups, int64_t columns);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_GEMM_PANEL_H_
