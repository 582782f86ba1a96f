// A block brings a tile of whole rows to shared memory, where each row is one thread's: global memory is read and
// written in order, 16 bytes a thread, whatever the number of classes.
#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy/cross_entropy_cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"

namespace cubist {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kTileFloats = 12288;  // 48 KiB, what a block has without asking

// Elements [begin, begin + count) of a dense array to or from the tile; `aligned`: begin's address is a multiple of 16.
template <typename T>
__device__ void LoadTile(const T* from, int count, bool aligned, float* tile) {
  constexpr int kWidth = 16 / sizeof(T);
  const int packs = aligned ? count / kWidth : 0;
#pragma unroll 4
  for (int k = threadIdx.x; k < packs; k += kThreads) {
    const Packed<T, kWidth> pack = LoadPacked<kWidth>(from, int64_t{k} * kWidth);
    for (int j = 0; j < kWidth; ++j) tile[k * kWidth + j] = ToFloat(pack.value[j]);
  }
  for (int k = packs * kWidth + threadIdx.x; k < count; k += kThreads) tile[k] = ToFloat(from[k]);
}

template <typename T>
__device__ void StoreTile(const float* tile, int count, bool aligned, T* to) {
  constexpr int kWidth = 16 / sizeof(T);
  const int packs = aligned ? count / kWidth : 0;
  for (int k = threadIdx.x; k < packs; k += kThreads) {
    Packed<T, kWidth> pack;
    for (int j = 0; j < kWidth; ++j) pack.value[j] = FromFloat<T>(tile[k * kWidth + j]);
    StorePacked(to, int64_t{k} * kWidth, pack);
  }
  for (int k = packs * kWidth + threadIdx.x; k < count; k += kThreads) to[k] = FromFloat<T>(tile[k]);
}

// A row of the tile: its maximum, and the sum of exp(logit - maximum), which are left in the row when kKeep.
template <bool kKeep>
__device__ void SumRow(float* row, int classes, float* maximum, float* sum) {
  float largest = row[0];
  for (int k = 1; k < classes; ++k) largest = fmaxf(largest, row[k]);
  float total = 0;
  for (int k = 0; k < classes; ++k) {
    const float power = expf(row[k] - largest);
    total += power;
    if constexpr (kKeep) row[k] = power;
  }
  *maximum = largest;
  *sum = total;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) Forward(const T* logits, const int64_t* target, int64_t rows, int classes,
                                                    int tile_rows, bool aligned, float* value) {
  extern __shared__ float tile[];
  const int64_t first = int64_t{blockIdx.x} * tile_rows;
  const int count = static_cast<int>(min(int64_t{tile_rows}, rows - first));
  const int64_t i = first + threadIdx.x;
  const int64_t wanted = threadIdx.x < count ? target[i] : -1;  // on its way while the tile is
  LoadTile(logits + first * classes, count * classes, aligned, tile);
  __syncthreads();
  if (threadIdx.x >= count) return;
  float* const row = tile + threadIdx.x * classes;
  if (wanted < 0 || wanted >= classes) {
    value[i] = wanted == -1 ? 0.0f : NAN;
    return;
  }
  float maximum, sum;
  SumRow<false>(row, classes, &maximum, &sum);
  value[i] = maximum - row[wanted] + logf(sum);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    Backward(const T* logits, const int64_t* target, const float* dvalue, int64_t rows, int classes, int tile_rows,
             bool aligned, T* dlogits) {
  extern __shared__ float tile[];
  const int64_t first = int64_t{blockIdx.x} * tile_rows;
  const int count = static_cast<int>(min(int64_t{tile_rows}, rows - first));
  const int64_t i = first + threadIdx.x;
  const int64_t wanted = threadIdx.x < count ? target[i] : -1;
  const float upstream = threadIdx.x < count ? dvalue[i] : 0.0f;
  LoadTile(logits + first * classes, count * classes, aligned, tile);
  __syncthreads();
  if (threadIdx.x < count) {
    float* const row = tile + threadIdx.x * classes;
    if (wanted < 0 || wanted >= classes) {
      for (int k = 0; k < classes; ++k) row[k] = wanted == -1 ? 0.0f : NAN;
    } else {
      float maximum, sum;
      SumRow<true>(row, classes, &maximum, &sum);
      const float reciprocal = 1.0f / sum;
      for (int k = 0; k < classes; ++k) row[k] = upstream * (row[k] * reciprocal - (k == wanted ? 1.0f : 0.0f));
    }
  }
  __syncthreads();
  StoreTile(tile, count * classes, aligned, dlogits + first * classes);
}

// Rows of a tile, blocks and bytes of shared memory.
struct Shape {
  int classes, tile_rows, blocks, bytes;
};

bool ShapeOf(int64_t rows, int64_t classes, Shape* shape) {
  if (classes < 1 || classes > kCrossEntropyMaxClasses) return false;
  // A multiple of 8 rows where there are that many, so that tiles begin at multiples of 16 bytes.
  const int64_t fitting = std::min<int64_t>(kThreads, kTileFloats / classes);
  const int64_t tile_rows = fitting >= 8 ? fitting / 8 * 8 : fitting;
  *shape = {static_cast<int>(classes), static_cast<int>(tile_rows), static_cast<int>(CeilDivide(rows, tile_rows)),
            static_cast<int>(tile_rows * classes * 4)};
  return true;
}

template <typename T>
bool TilesAligned(const Shape& shape, const void* data) {
  return IsAligned(16, data) && shape.tile_rows * shape.classes * sizeof(T) % 16 == 0;
}

}  // namespace

template <typename T>
cudaError_t CrossEntropyForwardCuda(View<const T, 2> logits, View<const int64_t, 1> target, View<float, 1> value,
                                    cudaStream_t stream) {
  const int64_t rows = logits.shape[0];
  if (rows == 0) return cudaSuccess;
  Shape shape;
  if (!ShapeOf(rows, logits.shape[1], &shape)) return cudaErrorInvalidValue;
  Forward<<<shape.blocks, kThreads, shape.bytes, stream>>>(
      logits.data, target.data, rows, shape.classes, shape.tile_rows, TilesAligned<T>(shape, logits.data), value.data);
  return cudaGetLastError();
}

template <typename T>
cudaError_t CrossEntropyBackwardCuda(View<const T, 2> logits, View<const int64_t, 1> target,
                                     View<const float, 1> dvalue, View<T, 2> dlogits, cudaStream_t stream) {
  const int64_t rows = logits.shape[0];
  if (rows == 0) return cudaSuccess;
  Shape shape;
  if (!ShapeOf(rows, logits.shape[1], &shape)) return cudaErrorInvalidValue;
  const bool aligned = TilesAligned<T>(shape, logits.data) && TilesAligned<T>(shape, dlogits.data);
  Backward<<<shape.blocks, kThreads, shape.bytes, stream>>>(logits.data, target.data, dvalue.data, rows, shape.classes,
                                                            shape.tile_rows, aligned, dlogits.data);
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                      \
  template cudaError_t CrossEntropyForwardCuda<T>(View<const T, 2>, View<const int64_t, 1>, View<float, 1>,        \
                                                  cudaStream_t);                                                   \
  template cudaError_t CrossEntropyBackwardCuda<T>(View<const T, 2>, View<const int64_t, 1>, View<const float, 1>, \
                                                   View<T, 2>, cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
