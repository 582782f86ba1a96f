// What the values of a tensor are like.
#ifndef CUBIST_TOOLS_INTERCHANGE_TENSOR_STATISTICS_H_
#define CUBIST_TOOLS_INTERCHANGE_TENSOR_STATISTICS_H_

#include <cstdint>
#include <limits>

#include "base/host_tensor.h"

namespace cubist {

struct TensorStatistics {
  int64_t count = 0;  // of all values
  int64_t zeros = 0, nans = 0, infinities = 0;
  // Of the finite values, in double; min > max if there are none.
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  double mean = 0;
  double squared_deviations = 0;  // from the mean, summed

  int64_t finite() const { return count - nans - infinities; }
  bool all_zeros() const { return count > 0 && zeros == count; }
  // Of all the finite values there are (divided by their number); 0 if there are none.
  double standard_deviation() const;
  // The statistics of both together: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
  // sample variances", 1979.
  void Add(const TensorStatistics& other);
};

// Of any dtype; bool as 0 and 1.
TensorStatistics StatisticsOf(const HostTensor& tensor);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TENSOR_STATISTICS_H_
