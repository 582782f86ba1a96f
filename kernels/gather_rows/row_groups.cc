#include "kernels/gather_rows/row_groups.h"

namespace cubist {

RowGroups GroupRows(View<const int64_t, 1> index, int64_t groups) {
  const int64_t rows = index.shape[0];
  RowGroups result;
  result.offsets.assign(groups + 1, 0);
  for (int64_t i = 0; i < rows; ++i) {
    if (index(i) >= 0) ++result.offsets[index(i) + 1];
  }
  for (int64_t r = 0; r < groups; ++r) result.offsets[r + 1] += result.offsets[r];
  result.members.resize(result.offsets[groups]);
  std::vector<int64_t> next(result.offsets.begin(), result.offsets.end() - 1);
  for (int64_t i = 0; i < rows; ++i) {
    if (index(i) >= 0) result.members[next[index(i)]++] = i;
  }
  return result;
}

}  // namespace cubist
