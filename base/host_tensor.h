// An owned array on the host: what files are read into and what batches are made of before a task
// turns them into tensors. Knows no LibTorch.
#ifndef CUBIST_BASE_HOST_TENSOR_H_
#define CUBIST_BASE_HOST_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/view.h"

namespace cubist {

// Dense and row-major; `bytes` is 64-byte aligned. Copies share the memory.
class HostTensor {
 public:
  // An empty float32 array of shape [0].
  HostTensor();
  // Uninitialised memory of the given shape. The caller has checked the shape against a limit
  // (CheckedByteSize) when it comes from a file.
  HostTensor(DType dtype, std::vector<int64_t> shape);

  // A copy of `values` as an array of the given shape, whose size is values.size().
  template <typename T>
  static HostTensor Of(const std::vector<T>& values, std::vector<int64_t> shape) {
    HostTensor tensor(DTypeOf<T>::value, std::move(shape));
    for (size_t i = 0; i < values.size(); ++i) tensor.data<T>()[i] = values[i];
    return tensor;
  }

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const { return size_; }
  size_t byte_size() const { return static_cast<size_t>(size_) * SizeOf(dtype_); }
  std::byte* bytes() { return bytes_.get(); }
  const std::byte* bytes() const { return bytes_.get(); }

  // The elements as T; T must be the array's dtype (checked: aborts on a mismatch, which is our bug).
  template <typename T>
  T* data() {
    CheckDType(DTypeOf<T>::value);
    return reinterpret_cast<T*>(bytes_.get());
  }
  template <typename T>
  const T* data() const {
    CheckDType(DTypeOf<T>::value);
    return reinterpret_cast<const T*>(bytes_.get());
  }
  // The elements as a view; T and Rank must be the array's (checked as above).
  template <typename T, int Rank>
  View<T, Rank> view() {
    return View<T, Rank>(data<T>(), Extents<Rank>());
  }
  template <typename T, int Rank>
  View<const T, Rank> view() const {
    return View<const T, Rank>(data<T>(), Extents<Rank>());
  }

  // Element i of the first axis, in the same memory (then aligned as its offset is). 0 <= i < shape()[0].
  HostTensor Select(int64_t i) const;
  // The same values as another dtype, rounded as C++ does. Not for float16 and bfloat16.
  HostTensor Cast(DType dtype) const;
  // "float32[4,4]".
  std::string Describe() const;

 private:
  void CheckDType(DType wanted) const;
  void CheckRank(int wanted) const;
  template <int Rank>
  std::array<int64_t, Rank> Extents() const {
    CheckRank(Rank);
    std::array<int64_t, Rank> extents;
    for (int d = 0; d < Rank; ++d) extents[d] = shape_[d];
    return extents;
  }

  DType dtype_;
  std::vector<int64_t> shape_;
  int64_t size_;
  std::shared_ptr<std::byte> bytes_;
};

// Bytes of an array of this shape; empty when an extent is negative or the product overflows.
std::optional<uint64_t> CheckedByteSize(DType dtype, const std::vector<int64_t>& shape);

}  // namespace cubist

#endif  // CUBIST_BASE_HOST_TENSOR_H_
