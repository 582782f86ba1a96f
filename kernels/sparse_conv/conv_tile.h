// What the kernels of both paths and the packing of their weights agree on. For .cu files.
#ifndef CUBIST_KERNELS_SPARSE_CONV_CONV_TILE_H_
#define CUBIST_KERNELS_SPARSE_CONV_CONV_TILE_H_

#include <cuda_bf16.h>

#include <cstdint>

#include "base/view.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/sparse_conv_cuda.h"

namespace cubist {

inline constexpr int kPieceBytes = 64;      // of a row: what a quad of lanes reads at once, 16 bytes each
inline constexpr int kTileColumnUnit = 32;  // columns of y that a quad of lanes writes at once

// Columns of y of a block.
inline int TileColumns(const SparseConvWeights& layout) {
  return layout.outputs <= 32 ? 32 : layout.outputs <= 64 ? 64 : 128;
}

// Channels of x of a step. A Hopper step is two pieces, where x has as many.
inline int StepChannels(const SparseConvWeights& layout) {
  if (layout.path == SparseConvPath::kHopper) return layout.inputs <= 32 ? 32 : 64;
  return layout.math == SparseConvMath::kBfloat16 ? 32 : 16;
}

// The column of y that stands at a column of the matrix instructions: such that a lane, which holds columns 2t and
// 2t + 1 of each eight, holds eight neighbouring columns of y out of 32.
CUBIST_HOST_DEVICE inline int OutputColumn(int position) {
  return position / 32 * 32 + (position % 8 >> 1) * 8 + position % 32 / 8 * 2 + (position & 1);
}

// Packed weights: [column blocks][27][steps][TileColumns][StepChannels], the last two in one block as
//  - portable: row-major. A lane reads 16 bytes of channels of its column, its share of two instructions.
//  - Hopper: wgmma's K-major layout without swizzle, [16 channels][half][8 columns][column][8 channels], where channel
//    c of a piece of 32 stands in the k that a lane which has read channels 8t .. 8t + 7 has it at.
// The element of step column n and step channel c.
CUBIST_HOST_DEVICE inline int PackedElement(bool hopper, int columns, int channels, int n, int c) {
  if (!hopper) return n * channels + c;
  const int piece = c / 32, t = c % 32 / 8, j = c % 8 / 4, e = c % 4;  // instruction 2 * piece + j of the step
  const int k = e / 2 * 8 + 2 * t + e % 2;
  return (((2 * piece + j) * 2 + k / 8) * (columns / 8) + n / 8) * 64 + n % 8 * 8 + k % 8;
}

// Whether kernels take these rows: unit stride along channels, the rest in pieces of 16 bytes. Strides that nothing is
// reached by may be any: LibTorch gives such to tensors of no or of one row.
template <typename T>
bool RowsFit(View<T, 2> view) {
  const auto [rows, channels] = view.shape;
  return channels % 8 == 0 && rows < (int64_t{1} << 31) - 1024 &&
         (view.size() == 0 || (view.stride[1] == 1 && (rows == 1 || view.stride[0] % 8 == 0) &&
                               reinterpret_cast<uintptr_t>(view.data) % 16 == 0));
}

// A convolution's arguments for its kernel.
template <typename T>
struct ConvArguments {
  const T* x;
  int64_t x_stride;
  const void* packed;
  const int32_t* neighbor_map;  // [27, rows]
  const float* bias;
  T* y;
  int64_t y_stride;
  int rows, inputs, outputs;
};

// A place in the list of steps: the lowest tap of `taps`, its `step`-th step.
struct StepCursor {
  uint32_t taps;
  int step = 0;

  __device__ int Tap() const { return __ffs(taps) - 1; }
  __device__ bool Valid() const { return taps != 0; }
  __device__ void Next(int steps) {
    if (++step == steps) {
      step = 0;
      taps &= taps - 1;
    }
  }
};

// Writes eight neighbouring columns of a row of y.
__device__ inline void WriteColumns(const float (&values)[8], float* y) {
  reinterpret_cast<float4*>(y)[0] = make_float4(values[0], values[1], values[2], values[3]);
  reinterpret_cast<float4*>(y)[1] = make_float4(values[4], values[5], values[6], values[7]);
}
__device__ inline void WriteColumns(const float (&values)[8], __nv_bfloat16* y) {
  __nv_bfloat162 pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(values[2 * i], values[2 * i + 1]);
  *reinterpret_cast<uint4*>(y) = *reinterpret_cast<const uint4*>(pairs);
}

// Writes a lane's sums of one row, `sums[n8][half + e]` at matrix column 8 n8 + 2t + e, plus bias, to its columns of y.
template <int kColumns, typename T>
__device__ inline void WriteRow(const float (&sums)[kColumns / 8][4], int half, int t, int first_column,
                                const ConvArguments<T>& arguments, int row) {
  if (row >= arguments.rows) return;
#pragma unroll
  for (int unit = 0; unit < kColumns / kTileColumnUnit; ++unit) {
    const int column = first_column + unit * kTileColumnUnit + 8 * t;
    if (column >= arguments.outputs) continue;
    float values[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      values[i] = sums[unit * 4 + i / 2][half + i % 2];
      if (arguments.bias != nullptr) values[i] += __ldg(arguments.bias + column + i);
    }
    WriteColumns(values, arguments.y + row * arguments.y_stride + column);
  }
}

// The two paths. Grid: (tiles of rows, column blocks).
cudaError_t LaunchPortableConv(const SparseConvWeights& layout, const ConvArguments<__nv_bfloat16>& arguments,
                               cudaStream_t stream);
cudaError_t LaunchPortableConv(const SparseConvWeights& layout, const ConvArguments<float>& arguments,
                               cudaStream_t stream);
cudaError_t LaunchHopperConv(const SparseConvWeights& layout, const ConvArguments<__nv_bfloat16>& arguments,
                             cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_CONV_TILE_H_
