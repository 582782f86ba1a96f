// Rows sorted by the group they belong to, keeping their order: how sums and maxima over "all i with
// index[i] == r" are made without atomics and in a fixed order.
#ifndef CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_H_
#define CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_H_

#include <cstdint>
#include <vector>

#include "base/view.h"

namespace cubist {

// members[offsets[r] .. offsets[r+1]) are the i with index[i] == r, ascending.
struct RowGroups {
  std::vector<int64_t> offsets;  // groups + 1
  std::vector<int64_t> members;
};

// index [N] with entries in [-1, groups), -1 for "in no group". The caller checks.
RowGroups GroupRows(View<const int64_t, 1> index, int64_t groups);

}  // namespace cubist

#endif  // CUBIST_KERNELS_GATHER_ROWS_ROW_GROUPS_H_
