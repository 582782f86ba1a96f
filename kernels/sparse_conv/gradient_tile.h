// What the two kernels of the weight's gradient and the adding up of their partial sums agree on. For .cu files.
#ifndef CUBIST_KERNELS_SPARSE_CONV_GRADIENT_TILE_H_
#define CUBIST_KERNELS_SPARSE_CONV_GRADIENT_TILE_H_

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace cubist {

inline constexpr int kTapGroups = 4;
inline constexpr int kGroupTaps = 7;  // taps 7 g .. 7 g + 6

// Ranges of rows by group of taps. Numbers of the shapes alone and not of the card, so that sums do not depend on it.
struct GradientRanges {
  int count[kTapGroups];

  CUBIST_HOST_DEVICE int Count(int group) const {
    return group == 0 ? count[0] : group == 1 ? count[1] : group == 2 ? count[2] : count[3];
  }
  // Ranges of the groups before.
  CUBIST_HOST_DEVICE int First(int group) const {
    return (group > 0 ? count[0] : 0) + (group > 1 ? count[1] : 0) + (group > 2 ? count[2] : 0) +
           (group > 3 ? count[3] : 0);
  }
  // The first matrix of a tap in the workspace, which has those of a group's ranges tap by tap.
  CUBIST_HOST_DEVICE int FirstMatrix(int tap) const {
    const int group = tap / kGroupTaps;
    return kGroupTaps * First(group) + tap % kGroupTaps * Count(group);
  }
};

// Range number `range` of `count`, in units of 32 rows: rows [begin, end).
struct RowRange {
  int begin, end;
};
CUBIST_HOST_DEVICE inline RowRange RowsOfRange(int rows, int range, int count) {
  const int64_t units = (int64_t{rows} + 31) / 32;
  const int64_t begin = units * range / count * 32, end = units * (range + 1) / count * 32;
  return {static_cast<int>(begin), static_cast<int>(end < rows ? end : rows)};
}

// How a kernel divides its work.
struct GradientPlan {
  int block_inputs, block_outputs;  // channels of a block
  GradientRanges ranges;
};

template <typename T>
struct GradientArguments {
  const T* x;
  int64_t x_stride;
  const T* dy;
  int64_t dy_stride;
  const int32_t* neighbor_map;
  float* partial;  // [matrices: FirstMatrix(tap) + range][Ci padded to blocks][Co padded to blocks]
  int rows, inputs, outputs, padded_inputs, padded_outputs;
  GradientRanges ranges;
};

// The wgmma kernel (hopper_weight_gradient.cu), which has as many ranges for each group.
GradientPlan PlanHopperWeightGradient(int64_t rows, int64_t inputs, int64_t outputs);
cudaError_t LaunchHopperWeightGradient(const GradientPlan& plan, const GradientArguments<__nv_bfloat16>& arguments,
                                       cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_GRADIENT_TILE_H_
