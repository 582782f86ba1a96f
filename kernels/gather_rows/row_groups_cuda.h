// RowGroups (row_groups.h) on a GPU, by a stable sort. Launchers as kernels/cuda/launch.h says.
#ifndef CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_CUDA_H_
#define CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/view.h"

namespace cubist {

// members[offsets[r] .. offsets[r+1]) are the i with index[i] == r, ascending; group[k] is the r of members[k]. What is
// in no group comes last, with `groups` for r. All in the workspace.
struct RowGroupsCuda {
  const int32_t* members;  // [rows]
  const int32_t* group;    // [rows]
  const int32_t* offsets;  // [groups + 1]
};

// Bytes of device memory that GroupRowsCuda wants, aligned to 256; 0 for more rows or groups than 2^31 - 2, which it
// does not take.
int64_t GroupRowsWorkspaceBytes(int64_t rows, int64_t groups);

// index [rows] with entries in [-1, groups). Writes *result, which points into the workspace.
cudaError_t GroupRowsCuda(View<const int64_t, 1> index, int64_t groups, void* workspace, RowGroupsCuda* result,
                          cudaStream_t stream);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_CUDA_H_
