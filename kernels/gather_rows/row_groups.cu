#include <cub/device/device_radix_sort.cuh>

#include "kernels/cuda/launch.h"
#include "kernels/gather_rows/row_groups_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kLimit = (int64_t{1} << 31) - 2;

// Where the parts of the workspace begin, in bytes.
struct Layout {
  int64_t keys, rows, group, members, offsets, sort, total;
};

// Bits of the largest key, which is `groups`.
int KeyBits(int64_t groups) {
  int bits = 1;
  while (groups >> bits != 0) ++bits;
  return bits;
}

cudaError_t Sort(void* space, size_t& bytes, const int32_t* keys, int32_t* group, const int32_t* rows, int32_t* members,
                 int64_t count, int64_t groups, cudaStream_t stream) {
  return cub::DeviceRadixSort::SortPairs(space, bytes, reinterpret_cast<const uint32_t*>(keys),
                                         reinterpret_cast<uint32_t*>(group), rows, members, static_cast<int>(count), 0,
                                         KeyBits(groups), stream);
}

Layout LayoutOf(int64_t rows, int64_t groups) {
  Layout layout;
  int64_t end = 0;
  const auto place = [&end](int64_t bytes) {
    const int64_t begin = end;
    end += CeilDivide<int64_t>(bytes, 256) * 256;
    return begin;
  };
  layout.keys = place(4 * rows);
  layout.rows = place(4 * rows);
  layout.group = place(4 * rows);
  layout.members = place(4 * rows);
  layout.offsets = place(4 * (groups + 1));
  size_t sort = 0;
  Sort(nullptr, sort, nullptr, nullptr, nullptr, nullptr, rows, groups, nullptr);
  layout.sort = place(static_cast<int64_t>(sort));
  layout.total = end;
  return layout;
}

__global__ void __launch_bounds__(kThreads)
    MakePairs(View<const int64_t, 1> index, int32_t groups, int32_t* keys, int32_t* rows) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= index.shape[0]) return;
  const int64_t group = index(i);
  // An entry outside [0, groups) is in no group, whatever it is: no thread writes where it must not.
  keys[i] = group >= 0 && group < groups ? static_cast<int32_t>(group) : groups;
  rows[i] = static_cast<int32_t>(i);
}

// offsets[r] = first k with group[k] >= r.
__global__ void __launch_bounds__(kThreads)
    FindOffsets(const int32_t* group, int32_t rows, int32_t groups, int32_t* offsets) {
  const int64_t r = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (r > groups) return;
  int32_t low = 0, high = rows;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (group[middle] < r) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  offsets[r] = low;
}

}  // namespace

int64_t GroupRowsWorkspaceBytes(int64_t rows, int64_t groups) {
  return rows > kLimit || groups > kLimit ? 0 : LayoutOf(rows, groups).total;
}

cudaError_t GroupRowsCuda(View<const int64_t, 1> index, int64_t groups, void* workspace, RowGroupsCuda* result,
                          cudaStream_t stream) {
  const int64_t rows = index.shape[0];
  if (rows > kLimit || groups > kLimit) return cudaErrorInvalidValue;
  const Layout layout = LayoutOf(rows, groups);
  char* const base = static_cast<char*>(workspace);
  const auto part = [base](int64_t begin) { return reinterpret_cast<int32_t*>(base + begin); };
  if (rows > 0) {
    MakePairs<<<static_cast<int>(CeilDivide<int64_t>(rows, kThreads)), kThreads, 0, stream>>>(
        index, static_cast<int32_t>(groups), part(layout.keys), part(layout.rows));
    size_t bytes = static_cast<size_t>(layout.total - layout.sort);
    const cudaError_t status = Sort(base + layout.sort, bytes, part(layout.keys), part(layout.group), part(layout.rows),
                                    part(layout.members), rows, groups, stream);
    if (status != cudaSuccess) return status;
  }
  FindOffsets<<<static_cast<int>(CeilDivide<int64_t>(groups + 1, kThreads)), kThreads, 0, stream>>>(
      part(layout.group), static_cast<int32_t>(rows), static_cast<int32_t>(groups), part(layout.offsets));
  *result = {part(layout.members), part(layout.group), part(layout.offsets)};
  return cudaGetLastError();
}

}  // namespace cubist
