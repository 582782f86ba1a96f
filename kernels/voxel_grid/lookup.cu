#include "kernels/cuda/launch.h"
#include "kernels/voxel_grid/lookup_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;

struct Three {
  int of[3];
};

__global__ void __launch_bounds__(kThreads)
    LookupKernel(LeafTableView table, View<const int32_t, 2> ijk, RowSamples samples, int64_t* row) {
  const int64_t m = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (m >= ijk.shape[0]) return;
  row[m] = FindRow(table, SampleOfRow(samples, m), ijk(m, 0), ijk(m, 1), ijk(m, 2));
}

__global__ void __launch_bounds__(kThreads)
    DenseIndexKernel(View<const int32_t, 2> ijk, RowSamples samples, Three ijk_min, Three dims, int64_t* index) {
  const int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= ijk.shape[0]) return;
  int64_t flat = SampleOfRow(samples, n);
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t cell = int64_t{ijk(n, axis)} - ijk_min.of[axis];
    flat = flat >= 0 && cell >= 0 && cell < dims.of[axis] ? flat * dims.of[axis] + cell : -1;
  }
  index[n] = flat;
}

unsigned Blocks(int64_t items) { return static_cast<unsigned>(CeilDivide<int64_t>(items, kThreads)); }

}  // namespace

cudaError_t LookupCuda(const LeafTableView& table, View<const int32_t, 2> ijk, RowSamples samples, int64_t* row,
                       cudaStream_t stream) {
  if (ijk.shape[0] == 0) return cudaSuccess;
  LookupKernel<<<Blocks(ijk.shape[0]), kThreads, 0, stream>>>(table, ijk, samples, row);
  return cudaGetLastError();
}

cudaError_t DenseIndexCuda(View<const int32_t, 2> ijk, RowSamples samples, const int ijk_min[3], const int dims[3],
                           int64_t* index, cudaStream_t stream) {
  if (ijk.shape[0] == 0) return cudaSuccess;
  DenseIndexKernel<<<Blocks(ijk.shape[0]), kThreads, 0, stream>>>(
      ijk, samples, Three{{ijk_min[0], ijk_min[1], ijk_min[2]}}, Three{{dims[0], dims[1], dims[2]}}, index);
  return cudaGetLastError();
}

}  // namespace cubist
