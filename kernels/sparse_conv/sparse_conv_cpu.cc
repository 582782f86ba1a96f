#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "base/parallel_for.h"
#include "kernels/sparse_conv/gemm_panel.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace cubist {
namespace {

constexpr int64_t kRowBlock = 256;  // rows whose sums stay in the second-level cache over the 27 taps

// Zeroed memory on cache-line boundaries.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t size)
      : data_(static_cast<T*>(::operator new (std::max<int64_t>(size, 1) * sizeof(T), std::align_val_t{64}))) {
    std::fill_n(data_.get(), size, T{0});
  }
  T* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* pointer) const { ::operator delete (pointer, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> data_;
};

// std::copy_n for short rows: no call, fixed-size pieces first.
template <typename T>
inline void CopyRow(const T* from, int64_t count, T* to) {
  constexpr int64_t kPiece = 32 / sizeof(T);
  int64_t i = 0;
  for (; i + kPiece <= count; i += kPiece) std::memcpy(to + i, from + i, 32);
  for (; i < count; ++i) to[i] = from[i];
}

// Matrices of one convolution by tap, [27][inputs][PaddedColumns(outputs)], zero in the padding.
template <typename T>
struct PackedWeight {
  PackedWeight(int64_t inputs_in, int64_t outputs_in)
      : inputs(inputs_in),
        outputs(outputs_in),
        columns(PaddedColumns<T>(outputs_in)),
        values(kConvTaps * inputs_in * columns) {}
  T* Tap(int64_t tap) const { return values.data() + tap * inputs * columns; }
  int64_t inputs, outputs, columns;
  Scratch<T> values;
};

// W_t for the forward; W_{26-t} transposed for the gradient of the input.
template <typename T>
PackedWeight<T> Pack(View<const T, 5> weight, bool for_gradient) {
  const int64_t co = weight.shape[0], ci = weight.shape[1];
  PackedWeight<T> packed(for_gradient ? co : ci, for_gradient ? ci : co);
  ParallelFor(packed.inputs, 8, [&](int64_t begin, int64_t end) {
    for (int64_t input = begin; input < end; ++input) {
      for (int64_t output = 0; output < packed.outputs; ++output) {
        const int64_t o = for_gradient ? input : output, i = for_gradient ? output : input;
        for (int k0 = 0; k0 < 3; ++k0) {
          for (int k1 = 0; k1 < 3; ++k1) {
            for (int k2 = 0; k2 < 3; ++k2) {
              const int tap = ConvTap(k0, k1, k2);
              packed.Tap(for_gradient ? kConvTaps - 1 - tap : tap)[input * packed.columns + output] =
                  weight(o, i, k0, k1, k2);
            }
          }
        }
      }
    }
  });
  return packed;
}

// y = bias + sum_t x[map[t]] W_t: forward and input gradient differ in the weights alone.
template <typename T>
void Convolve(View<const T, 2> x, const PackedWeight<T>& weight, View<const int32_t, 2> neighbor_map, const T* bias,
              View<T, 2> y) {
  const int64_t columns = weight.columns;
  ParallelFor(y.shape[0], kRowBlock, [&](int64_t begin, int64_t end) {
    const int64_t rows = end - begin;
    // One row more than the block has: where the padding of the last row group is added up.
    const Scratch<T> sums((rows + 1) * columns);
    T* const surplus = sums.data() + rows * columns;
    if (bias != nullptr) {
      for (int64_t r = 0; r < rows; ++r) CopyRow(bias, weight.outputs, sums.data() + r * columns);
    }
    const T* from[kRowBlock + kPanelRows];
    T* to[kRowBlock + kPanelRows];
    for (int64_t tap = 0; tap < kConvTaps; ++tap) {
      const int32_t* map = neighbor_map.data + tap * neighbor_map.stride[0] + begin * neighbor_map.stride[1];
      int64_t count = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t neighbor = map[r * neighbor_map.stride[1]];
        from[count] = x.data + std::max<int64_t>(neighbor, 0) * x.stride[0];
        to[count] = sums.data() + r * columns;
        count += neighbor >= 0;
      }
      if (count == 0) continue;
      for (; count % kPanelRows != 0; ++count) {
        from[count] = from[0];
        to[count] = surplus;
      }
      GemmPanel<T>(from, 1, weight.Tap(tap), columns, weight.inputs, to, count / kPanelRows, columns);
    }
    for (int64_t r = 0; r < rows; ++r) {
      CopyRow(sums.data() + r * columns, weight.outputs, y.data + (begin + r) * y.stride[0]);
    }
  });
}

// Adds x[map[p]]^T dY[p] over p in [begin, end) to sum [rows of kPanelRows multiple][PaddedColumns(Co)].
template <typename T>
void AddOuterProducts(View<const T, 2> x, View<const T, 2> dy, const int32_t* map, int64_t map_step, int64_t begin,
                      int64_t end, T* sum) {
  constexpr int64_t kPairs = 128;  // packed together; both packs stay in the second-level cache
  const int64_t ci = x.shape[1], co = dy.shape[1];
  const int64_t columns = PaddedColumns<T>(co);
  const int64_t groups = (ci + kPanelRows - 1) / kPanelRows;
  const int64_t padded_ci = groups * kPanelRows;
  const Scratch<T> left(kPairs * padded_ci), right(kPairs * columns);
  std::vector<const T*> from(padded_ci);
  std::vector<T*> to(padded_ci);
  for (int64_t c = 0; c < padded_ci; ++c) {
    from[c] = left.data() + c;
    to[c] = sum + c * columns;
  }
  int64_t count = 0;
  const auto flush = [&] {
    GemmPanel<T>(from.data(), padded_ci, right.data(), columns, count, to.data(), groups, columns);
    count = 0;
  };
  for (int64_t p = begin; p < end; ++p) {
    const int64_t neighbor = map[p * map_step];
    if (neighbor < 0) continue;
    CopyRow(x.data + neighbor * x.stride[0], ci, left.data() + count * padded_ci);
    CopyRow(dy.data + p * dy.stride[0], co, right.data() + count * columns);
    if (++count == kPairs) flush();
  }
  if (count > 0) flush();
}

}  // namespace

template <typename T>
void SparseConvForwardCpu(View<const T, 2> x, View<const T, 5> weight, View<const int32_t, 2> neighbor_map,
                          const T* bias, View<T, 2> y) {
  Convolve<T>(x, Pack<T>(weight, /*for_gradient=*/false), neighbor_map, bias, y);
}

template <typename T>
void SparseConvInputGradientCpu(View<const T, 2> dy, View<const T, 5> weight, View<const int32_t, 2> neighbor_map,
                                View<T, 2> dx) {
  Convolve<T>(dy, Pack<T>(weight, /*for_gradient=*/true), neighbor_map, nullptr, dx);
}

template <typename T>
void SparseConvWeightGradientCpu(View<const T, 2> x, View<const T, 2> dy, View<const int32_t, 2> neighbor_map,
                                 View<T, 5> dweight) {
  const int64_t rows = x.shape[0], ci = x.shape[1], co = dy.shape[1];
  // Chunks of rows depend on the number of rows alone; their sums are added in ascending order.
  const int64_t chunks = std::clamp<int64_t>(rows / 16384, 1, 8);
  const int64_t chunk_rows = (rows + chunks - 1) / chunks;
  const int64_t columns = PaddedColumns<T>(co);
  const int64_t matrix = (ci + kPanelRows - 1) / kPanelRows * kPanelRows * columns;
  const Scratch<T> sums(kConvTaps * chunks * matrix);
  ParallelFor(kConvTaps * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t tap = item / chunks, chunk = item % chunks;
      AddOuterProducts<T>(x, dy, neighbor_map.data + tap * neighbor_map.stride[0], neighbor_map.stride[1],
                          std::min(rows, chunk * chunk_rows), std::min(rows, (chunk + 1) * chunk_rows),
                          sums.data() + item * matrix);
    }
  });
  ParallelFor(co, 8, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t i = 0; i < ci; ++i) {
        for (int k0 = 0; k0 < 3; ++k0) {
          for (int k1 = 0; k1 < 3; ++k1) {
            for (int k2 = 0; k2 < 3; ++k2) {
              const T* sum = sums.data() + ConvTap(k0, k1, k2) * chunks * matrix + i * columns + o;
              T total = sum[0];
              for (int64_t chunk = 1; chunk < chunks; ++chunk) total += sum[chunk * matrix];
              dweight(o, i, k0, k1, k2) = total;
            }
          }
        }
      }
    }
  });
}

template <typename T>
void SparseConvBiasGradientCpu(View<const T, 2> dy, T* dbias) {
  constexpr int64_t kBlock = 1024;
  const int64_t rows = dy.shape[0], channels = dy.shape[1];
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  const Scratch<double> sums((blocks + 1) * channels);
  ParallelFor(rows, kBlock, [&](int64_t begin, int64_t end) {
    double* sum = sums.data() + begin / kBlock * channels;
    for (int64_t p = begin; p < end; ++p) {
      const T* row = dy.data + p * dy.stride[0];
      for (int64_t c = 0; c < channels; ++c) sum[c] += row[c];
    }
  });
  double* const total = sums.data() + blocks * channels;
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t c = 0; c < channels; ++c) total[c] += sums.data()[block * channels + c];
  }
  for (int64_t c = 0; c < channels; ++c) dbias[c] = static_cast<T>(total[c]);
}

#define CUBIST_INSTANTIATE(T)                                                                                          \
  template void SparseConvForwardCpu<T>(View<const T, 2>, View<const T, 5>, View<const int32_t, 2>, const T*,          \
                                        View<T, 2>);                                                                   \
  template void SparseConvInputGradientCpu<T>(View<const T, 2>, View<const T, 5>, View<const int32_t, 2>, View<T, 2>); \
  template void SparseConvWeightGradientCpu<T>(View<const T, 2>, View<const T, 2>, View<const int32_t, 2>,             \
                                               View<T, 5>);                                                            \
  template void SparseConvBiasGradientCpu<T>(View<const T, 2>, T*)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(double);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
