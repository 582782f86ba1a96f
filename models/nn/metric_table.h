// Named numbers of one batch that stay on the device until a log line wants them.
#ifndef CUBIST_MODELS_NN_METRIC_TABLE_H_
#define CUBIST_MODELS_NN_METRIC_TABLE_H_

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <string>
#include <vector>

namespace cubist {

// A metric of a batch is a sum over samples and the weight to divide it by when sums of several
// batches and ranks have been added: usually the number of samples. Every batch of a task has the
// same names in the same order.
class MetricTable {
 public:
  // `sum` and `weight`: scalars on one device, any floating dtype.
  void Add(std::string name, const at::Tensor& sum, const at::Tensor& weight) {
    names_.push_back(std::move(name));
    values_.push_back(sum.detach().to(at::kDouble).reshape({}));
    weights_.push_back(weight.detach().to(at::kDouble).reshape({}));
  }

  const std::vector<std::string>& names() const { return names_; }
  // double [2, number of names]: sums, then weights.
  at::Tensor Sums() const { return at::stack({at::stack(values_), at::stack(weights_)}); }

 private:
  std::vector<std::string> names_;
  std::vector<at::Tensor> values_, weights_;
};

}  // namespace cubist

#endif  // CUBIST_MODELS_NN_METRIC_TABLE_H_
