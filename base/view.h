// A typed view of an array that somebody else owns: what kernels take, on the host and on a device.
#ifndef CUBIST_BASE_VIEW_H_
#define CUBIST_BASE_VIEW_H_

#include <array>
#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define CUBIST_HOST_DEVICE __host__ __device__
#else
#define CUBIST_HOST_DEVICE
#endif

namespace cubist {

// `data` points at element (0, ..., 0); strides count elements. A View<const T> reads only.
template <typename T, int Rank>
struct View {
  T* data = nullptr;
  std::array<int64_t, Rank> shape = {};
  std::array<int64_t, Rank> stride = {};

  View() = default;
  // Row-major and dense.
  View(T* data_in, const std::array<int64_t, Rank>& shape_in) : data(data_in), shape(shape_in) {
    int64_t step = 1;
    for (int d = Rank - 1; d >= 0; --d) {
      stride[d] = step;
      step *= shape[d];
    }
  }
  View(T* data_in, const std::array<int64_t, Rank>& shape_in, const std::array<int64_t, Rank>& stride_in)
      : data(data_in), shape(shape_in), stride(stride_in) {}
  // A writable view reads as well.
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
  View(const View<U, Rank>& other)  // NOLINT(google-explicit-constructor)
      : data(other.data), shape(other.shape), stride(other.stride) {}

  template <typename... Index>
  CUBIST_HOST_DEVICE T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == Rank, "one index for each dimension");
    const int64_t indices[Rank] = {static_cast<int64_t>(index)...};
    int64_t offset = 0;
    for (int d = 0; d < Rank; ++d) offset += indices[d] * stride[d];
    return data[offset];
  }
  int64_t size() const {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
  }
  // Row-major without gaps. Strides that no element is reached by, those of extents of one and of empty views, may be
  // any: LibTorch's are others than View's.
  bool is_dense() const {
    const View dense(data, shape);
    if (size() == 0) return true;
    for (int d = 0; d < Rank; ++d) {
      if (shape[d] != 1 && stride[d] != dense.stride[d]) return false;
    }
    return true;
  }
};

}  // namespace cubist

#endif  // CUBIST_BASE_VIEW_H_
