#include "base/host_tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cubist {
namespace {

constexpr std::align_val_t kAlignment{64};

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "HostTensor: %s\n", message.c_str());
  std::abort();
}

template <typename From, typename To>
void CastElements(const HostTensor& from, HostTensor& to) {
  const From* source = from.data<From>();
  std::transform(source, source + from.size(), to.data<To>(), [](From value) { return static_cast<To>(value); });
}

// Calls `visit` with a null pointer of the element type of `dtype`.
template <typename Visitor>
void Dispatch(DType dtype, Visitor visit) {
  switch (dtype) {
    case DType::kBool:
      return visit(static_cast<bool*>(nullptr));
    case DType::kUInt8:
      return visit(static_cast<uint8_t*>(nullptr));
    case DType::kInt8:
      return visit(static_cast<int8_t*>(nullptr));
    case DType::kUInt16:
      return visit(static_cast<uint16_t*>(nullptr));
    case DType::kInt16:
      return visit(static_cast<int16_t*>(nullptr));
    case DType::kUInt32:
      return visit(static_cast<uint32_t*>(nullptr));
    case DType::kInt32:
      return visit(static_cast<int32_t*>(nullptr));
    case DType::kUInt64:
      return visit(static_cast<uint64_t*>(nullptr));
    case DType::kInt64:
      return visit(static_cast<int64_t*>(nullptr));
    case DType::kFloat32:
      return visit(static_cast<float*>(nullptr));
    case DType::kFloat64:
      return visit(static_cast<double*>(nullptr));
    case DType::kFloat16:
    case DType::kBFloat16:
      Fail("Cast does not take 16-bit floats");
  }
}

// Large arrays ask for huge pages: what they cost is mostly the faults of their first use.
std::shared_ptr<std::byte> Allocate(size_t size) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const std::align_val_t alignment = size >= 2 * kHugePage ? std::align_val_t{kHugePage} : kAlignment;
  void* const memory = ::operator new(size, alignment);
  // A kernel without them says no, which changes nothing but time.
  if (size >= 2 * kHugePage) ::madvise(memory, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return std::shared_ptr<std::byte>(static_cast<std::byte*>(memory),
                                    [alignment](std::byte* bytes) { ::operator delete(bytes, alignment); });
}

}  // namespace

HostTensor::HostTensor() : HostTensor(DType::kFloat32, {0}) {}

HostTensor::HostTensor(DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {
  const std::optional<uint64_t> byte_size = CheckedByteSize(dtype_, shape_);
  if (!byte_size.has_value()) Fail(absl::StrCat("impossible shape [", absl::StrJoin(shape_, ","), "]"));
  size_ = static_cast<int64_t>(*byte_size / SizeOf(dtype_));
  bytes_ = Allocate(*byte_size);
}

HostTensor HostTensor::Select(int64_t i) const {
  if (shape_.empty() || i < 0 || i >= shape_[0]) Fail(absl::StrCat("element ", i, " of ", Describe()));
  HostTensor element;
  element.dtype_ = dtype_;
  element.shape_.assign(shape_.begin() + 1, shape_.end());
  element.size_ = size_ / shape_[0];
  element.bytes_ = std::shared_ptr<std::byte>(bytes_, bytes_.get() + static_cast<size_t>(i) * element.byte_size());
  return element;
}

HostTensor HostTensor::Cast(DType dtype) const {
  HostTensor result(dtype, shape_);
  Dispatch(dtype_, [&](auto* from) {
    using From = std::remove_pointer_t<decltype(from)>;
    Dispatch(dtype, [&](auto* to) { CastElements<From, std::remove_pointer_t<decltype(to)>>(*this, result); });
  });
  return result;
}

std::string HostTensor::Describe() const {
  const std::string_view name = Name(dtype_);
  return absl::StrCat(absl::string_view(name.data(), name.size()), "[", absl::StrJoin(shape_, ","), "]");
}

void HostTensor::CheckDType(DType wanted) const {
  if (dtype_ != wanted) Fail(absl::StrCat(Describe(), " read as ", std::string(Name(wanted))));
}

void HostTensor::CheckRank(int wanted) const {
  if (static_cast<int>(shape_.size()) != wanted) Fail(absl::StrCat(Describe(), " viewed with rank ", wanted));
}

std::optional<uint64_t> CheckedByteSize(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = SizeOf(dtype);
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) || bytes > (uint64_t{1} << 62)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : bytes;
}

}  // namespace cubist
