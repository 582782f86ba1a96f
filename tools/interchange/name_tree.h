// Tensors as a tree by the dots in their names, with what repeats itself folded into one line.
#ifndef CUBIST_TOOLS_INTERCHANGE_NAME_TREE_H_
#define CUBIST_TOOLS_INTERCHANGE_NAME_TREE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "tools/interchange/tensor_statistics.h"

namespace cubist {

struct TreeTensor {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  TensorStatistics statistics;  // count 0 if not asked for
};

// A part of a name, or several that are joined: where there is but one way to go on ("encoder.mix_fc"), and where
// numbered siblings hold tensors of the same names, dtypes and shapes ("layer.{0..23}").
struct NameTree {
  std::string label;
  // Of this and all below; of all the siblings that are folded here.
  int64_t tensors = 0, values = 0;
  uint64_t bytes = 0;
  TensorStatistics statistics;
  // A tensor that ends here. `own`: as above, without what is below.
  bool is_tensor = false;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  TensorStatistics own;
  // In the order in which they came; by number where all are numbers.
  std::vector<std::unique_ptr<NameTree>> children;
};

// The root, whose label is empty. Names are cut at 64 dots at most.
NameTree MakeNameTree(const std::vector<TreeTensor>& tensors);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_NAME_TREE_H_
