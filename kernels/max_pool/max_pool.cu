#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/gather_rows/row_groups_cuda.h"
#include "kernels/max_pool/max_pool_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;

// A thread makes kWidth channels of a coarse row.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    PoolRows(const T* x, RowGroupsCuda groups, int64_t rows, int64_t channels, T* y, int32_t* argmax) {
  const int64_t packs = channels / kWidth;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t row = Quotient(thread, packs);
  if (row >= rows) return;
  const int64_t channel = (thread - row * packs) * kWidth;
  const int32_t begin = groups.offsets[row], end = groups.offsets[row + 1];
  Packed<T, kWidth> best;
  Packed<int32_t, kWidth> where;
  for (int j = 0; j < kWidth; ++j) {
    best.value[j] = FromFloat<T>(0.0f);
    where.value[j] = -1;
  }
  if (begin < end) {
    const int32_t first = groups.members[begin];
    best = LoadPacked<kWidth>(x, first * channels + channel);
    for (int j = 0; j < kWidth; ++j) where.value[j] = first;
  }
#pragma unroll 4
  for (int32_t k = begin + 1; k < end; ++k) {
    const int32_t i = groups.members[k];
    const Packed<T, kWidth> pack = LoadPacked<kWidth>(x, i * channels + channel);
    for (int j = 0; j < kWidth; ++j) {
      const bool greater = ToFloat(pack.value[j]) > ToFloat(best.value[j]);
      best.value[j] = greater ? pack.value[j] : best.value[j];
      where.value[j] = greater ? i : where.value[j];
    }
  }
  StorePacked(y, row * channels + channel, best);
  // Packs of T fill 16 bytes, so those of int32 may fill 32: two accesses.
  constexpr int kPart = kWidth < 4 ? kWidth : 4;
  for (int part = 0; part < kWidth; part += kPart) {
    Packed<int32_t, kPart> four;
    for (int j = 0; j < kPart; ++j) four.value[j] = where.value[part + j];
    StorePacked(argmax, row * channels + channel + part, four);
  }
}

// A thread makes kWidth channels of the gradient of a fine row.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads) PoolGradient(const T* dy, const int32_t* argmax, const int64_t* parent,
                                                         int64_t coarse_rows, int64_t rows, int64_t channels, T* dx) {
  const int64_t packs = channels / kWidth;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t row = Quotient(thread, packs);
  if (row >= rows) return;
  const int64_t channel = (thread - row * packs) * kWidth;
  const int64_t from = parent[row];
  Packed<T, kWidth> pack;
  for (int j = 0; j < kWidth; ++j) pack.value[j] = FromFloat<T>(0.0f);
  if (from >= 0 && from < coarse_rows) {
    const Packed<T, kWidth> gradient = LoadPacked<kWidth>(dy, from * channels + channel);
    constexpr int kPart = kWidth < 4 ? kWidth : 4;
    for (int part = 0; part < kWidth; part += kPart) {
      const Packed<int32_t, kPart> where = LoadPacked<kPart>(argmax, from * channels + channel + part);
      for (int j = 0; j < kPart; ++j) {
        if (where.value[j] == row) pack.value[part + j] = gradient.value[part + j];
      }
    }
  }
  StorePacked(dx, row * channels + channel, pack);
}

int BlocksFor(int64_t threads) { return static_cast<int>(CeilDivide<int64_t>(threads, kThreads)); }

}  // namespace

int64_t MaxPoolWorkspaceBytes(int64_t fine_rows, int64_t coarse_rows) {
  return GroupRowsWorkspaceBytes(fine_rows, coarse_rows);
}

template <typename T>
cudaError_t MaxPoolForwardCuda(View<const T, 2> x, View<const int64_t, 1> parent, View<T, 2> y, View<int32_t, 2> argmax,
                               void* workspace, cudaStream_t stream) {
  const int64_t rows = y.shape[0], channels = y.shape[1];
  if (y.size() == 0) return cudaSuccess;
  RowGroupsCuda groups;
  const cudaError_t status = GroupRowsCuda(parent, rows, workspace, &groups, stream);
  if (status != cudaSuccess) return status;
  constexpr int kWidth = 16 / sizeof(T);
  if (channels % kWidth == 0 && IsAligned(16, x.data, y.data, argmax.data)) {
    PoolRows<kWidth><<<BlocksFor(rows * (channels / kWidth)), kThreads, 0, stream>>>(x.data, groups, rows, channels,
                                                                                     y.data, argmax.data);
  } else {
    PoolRows<1>
        <<<BlocksFor(rows * channels), kThreads, 0, stream>>>(x.data, groups, rows, channels, y.data, argmax.data);
  }
  return cudaGetLastError();
}

template <typename T>
cudaError_t MaxPoolBackwardCuda(View<const T, 2> dy, View<const int32_t, 2> argmax, View<const int64_t, 1> parent,
                                View<T, 2> dx, cudaStream_t stream) {
  const int64_t rows = dx.shape[0], channels = dx.shape[1], coarse_rows = dy.shape[0];
  if (dx.size() == 0) return cudaSuccess;
  constexpr int kWidth = 16 / sizeof(T);
  if (channels % kWidth == 0 && IsAligned(16, dy.data, dx.data, argmax.data)) {
    PoolGradient<kWidth><<<BlocksFor(rows * (channels / kWidth)), kThreads, 0, stream>>>(
        dy.data, argmax.data, parent.data, coarse_rows, rows, channels, dx.data);
  } else {
    PoolGradient<1><<<BlocksFor(rows * channels), kThreads, 0, stream>>>(dy.data, argmax.data, parent.data, coarse_rows,
                                                                         rows, channels, dx.data);
  }
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                        \
  template cudaError_t MaxPoolForwardCuda<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>, View<int32_t, 2>, \
                                             void*, cudaStream_t);                                                   \
  template cudaError_t MaxPoolBackwardCuda<T>(View<const T, 2>, View<const int32_t, 2>, View<const int64_t, 1>,      \
                                              View<T, 2>, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
