// Which sample of a batch a row belongs to, in kernels.
#ifndef CUBIST_KERNELS_VOXEL_GRID_ROW_SAMPLES_H_
#define CUBIST_KERNELS_VOXEL_GRID_ROW_SAMPLES_H_

#include <cstdint>

#include "base/view.h"

namespace cubist {

// Rows of sample b are [offsets[b], offsets[b+1]); offsets int64 [B+1] on the device. Null for a batch of one.
struct RowSamples {
  const int64_t* offsets = nullptr;
  int64_t batch_size = 1;
};

// The sample of a row below offsets[B].
CUBIST_HOST_DEVICE inline int SampleOfRow(const RowSamples& samples, int64_t row) {
  if (samples.offsets == nullptr) return 0;
  int sample = 0;
  for (int end = static_cast<int>(samples.batch_size); end - sample > 1;) {
    const int middle = (sample + end) / 2;
    (samples.offsets[middle] <= row ? sample : end) = middle;
  }
  return sample;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_ROW_SAMPLES_H_
