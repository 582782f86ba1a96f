// The gradient in two launches after the sort of index:
//   1. sums of chunks of kChunk sorted places, for rows that were picked more than kChunk times;
//   2. a row picked at most kChunk times adds its own, any other the sums of its chunks.
// So that few rows picked very often (an embedding) take no longer than many rows picked a few times.
#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/packed.h"
#include "kernels/gather_rows/gather_rows_cuda.h"
#include "kernels/gather_rows/row_groups_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;
constexpr int kChunk = 128;

// Rows as packs of Word: `words` a row.
template <typename Word>
__global__ void __launch_bounds__(kThreads)
    CopyRows(const Word* x, int64_t rows, const int64_t* index, Word* y, int64_t picked, uint32_t words) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x; k < picked * words; k += stride) {
    const int64_t i = Quotient(k, words);
    const int64_t from = index[i];
    Word word = {};
    if (from >= 0 && from < rows) word = x[from * words + (k - i * words)];
    y[k] = word;
  }
}

// Thread (k, pack of channels).
struct Place {
  int64_t row;
  int64_t channel;
};
__device__ Place PlaceOf(int64_t packs, int width) {
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t row = Quotient(thread, packs);
  return {row, (thread - row * packs) * width};
}

template <int kWidth>
struct Sum {
  float value[kWidth] = {};
  template <typename T>
  __device__ void Add(const Packed<T, kWidth>& pack) {
    for (int j = 0; j < kWidth; ++j) value[j] += ToFloat(pack.value[j]);
  }
};

// Rows members[begin..end) of dy, in that order.
template <int kWidth, typename T>
__device__ Sum<kWidth> SumMembers(const T* dy, const int32_t* members, int32_t begin, int32_t end, int64_t channels,
                                  int64_t channel) {
  constexpr int kFlight = 4;
  Sum<kWidth> sum;
  int32_t k = begin;
  for (; k + kFlight <= end; k += kFlight) {
    Packed<T, kWidth> packs[kFlight];
    for (int j = 0; j < kFlight; ++j) packs[j] = LoadPacked<kWidth>(dy, members[k + j] * channels + channel);
    for (int j = 0; j < kFlight; ++j) sum.Add(packs[j]);
  }
  for (; k < end; ++k) sum.Add(LoadPacked<kWidth>(dy, members[k] * channels + channel));
  return sum;
}

// partial[chunk][0]: of the row of the chunk's first place; partial[chunk][1]: of the row that begins in the chunk and
// goes on after it. No more rows with above kChunk members can meet a chunk.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    SumChunks(const T* dy, RowGroupsCuda groups, int32_t rows, int32_t picked, int64_t channels, float* partial) {
  const Place place = PlaceOf(channels / kWidth, kWidth);
  const int64_t begin = place.row / 2 * kChunk, slot = place.row % 2;
  if (begin >= picked) return;
  const int64_t end = min(begin + kChunk, int64_t{picked});
  const int32_t first = groups.group[begin], last = groups.group[end - 1];
  const int32_t row = slot == 0 ? first : last;
  if (row >= rows || (slot == 1 && last == first)) return;
  const int32_t row_begin = groups.offsets[row], row_end = groups.offsets[row + 1];
  if (row_end - row_begin <= kChunk) return;
  const Sum<kWidth> sum = SumMembers<kWidth>(dy, groups.members, max(row_begin, static_cast<int32_t>(begin)),
                                             min(row_end, static_cast<int32_t>(end)), channels, place.channel);
  for (int j = 0; j < kWidth; ++j) partial[place.row * channels + place.channel + j] = sum.value[j];
}

template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    SumRows(const T* dy, RowGroupsCuda groups, int64_t rows, int64_t channels, const float* partial, T* dx) {
  const Place place = PlaceOf(channels / kWidth, kWidth);
  if (place.row >= rows) return;
  const int32_t begin = groups.offsets[place.row], end = groups.offsets[place.row + 1];
  Sum<kWidth> sum;
  if (end - begin <= kChunk) {
    sum = SumMembers<kWidth>(dy, groups.members, begin, end, channels, place.channel);
  } else {
#pragma unroll 8
    for (int64_t chunk = begin / kChunk; chunk <= (end - 1) / kChunk; ++chunk) {
      const int64_t slot = 2 * chunk + (chunk * kChunk >= begin ? 0 : 1);
      const float* const from = partial + slot * channels + place.channel;
      for (int j = 0; j < kWidth; ++j) sum.value[j] += from[j];
    }
  }
  Packed<T, kWidth> pack;
  for (int j = 0; j < kWidth; ++j) pack.value[j] = FromFloat<T>(sum.value[j]);
  StorePacked(dx, place.row * channels + place.channel, pack);
}

int BlocksFor(int64_t threads) { return static_cast<int>(CeilDivide<int64_t>(threads, kThreads)); }

template <typename Word>
void LaunchCopy(const void* x, int64_t rows, View<const int64_t, 1> index, void* y, int64_t row_bytes,
                cudaStream_t stream) {
  const int64_t words = row_bytes / static_cast<int64_t>(sizeof(Word)), picked = index.shape[0];
  if (words * picked == 0) return;
  CopyRows<<<BlocksFor(std::min<int64_t>(words * picked, int64_t{1} << 31)), kThreads, 0, stream>>>(
      static_cast<const Word*>(x), rows, index.data, static_cast<Word*>(y), picked, static_cast<uint32_t>(words));
}

template <int kWidth, typename T>
void LaunchBackward(View<const T, 2> dy, const RowGroupsCuda& groups, View<T, 2> dx, float* partial,
                    cudaStream_t stream) {
  const int64_t channels = dx.shape[1], packs = channels / kWidth, picked = dy.shape[0], rows = dx.shape[0];
  const int64_t chunks = CeilDivide<int64_t>(picked, kChunk);
  if (picked > kChunk) {
    SumChunks<kWidth><<<BlocksFor(2 * chunks * packs), kThreads, 0, stream>>>(
        dy.data, groups, static_cast<int32_t>(rows), static_cast<int32_t>(picked), channels, partial);
  }
  SumRows<kWidth><<<BlocksFor(rows * packs), kThreads, 0, stream>>>(dy.data, groups, rows, channels, partial, dx.data);
}

int64_t PartialBytes(int64_t picked, int64_t channels) { return 8 * CeilDivide<int64_t>(picked, kChunk) * channels; }

}  // namespace

template <typename T>
cudaError_t GatherRowsForwardCuda(View<const T, 2> x, View<const int64_t, 1> index, View<T, 2> y, cudaStream_t stream) {
  const int64_t row_bytes = x.shape[1] * static_cast<int64_t>(sizeof(T));
  if (row_bytes % 16 == 0 && IsAligned(16, x.data, y.data)) {
    LaunchCopy<uint4>(x.data, x.shape[0], index, y.data, row_bytes, stream);
  } else {
    LaunchCopy<T>(x.data, x.shape[0], index, y.data, row_bytes, stream);
  }
  return cudaGetLastError();
}

int64_t GatherRowsBackwardWorkspaceBytes(int64_t rows, int64_t picked, int64_t channels) {
  return GroupRowsWorkspaceBytes(picked, rows) + PartialBytes(picked, channels);
}

template <typename T>
cudaError_t GatherRowsBackwardCuda(View<const T, 2> dy, View<const int64_t, 1> index, View<T, 2> dx, void* workspace,
                                   cudaStream_t stream) {
  if (dx.size() == 0) return cudaSuccess;
  RowGroupsCuda groups;
  const cudaError_t status = GroupRowsCuda(index, dx.shape[0], workspace, &groups, stream);
  if (status != cudaSuccess) return status;
  float* const partial =
      reinterpret_cast<float*>(static_cast<char*>(workspace) + GroupRowsWorkspaceBytes(index.shape[0], dx.shape[0]));
  constexpr int kWidth = 16 / sizeof(T);
  if (dx.shape[1] % kWidth == 0 && IsAligned(16, dy.data, dx.data)) {
    LaunchBackward<kWidth>(dy, groups, dx, partial, stream);
  } else {
    LaunchBackward<1>(dy, groups, dx, partial, stream);
  }
  return cudaGetLastError();
}

#define CUBIST_INSTANTIATE(T)                                                                                        \
  template cudaError_t GatherRowsForwardCuda<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>, cudaStream_t); \
  template cudaError_t GatherRowsBackwardCuda<T>(View<const T, 2>, View<const int64_t, 1>, View<T, 2>, void*,        \
                                                 cudaStream_t)
CUBIST_INSTANTIATE(float);
CUBIST_INSTANTIATE(__nv_bfloat16);
#undef CUBIST_INSTANTIATE

}  // namespace cubist
