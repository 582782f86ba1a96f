#include "tools/interchange/tensor_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "tools/interchange/tensor_elements.h"

namespace cubist {
namespace {

// Values that are summed up at once: the mean first, then the deviations from it.
constexpr int64_t kBlock = 4096;

template <typename T>
TensorStatistics OfBlock(const T* elements, int64_t count) {
  std::array<double, kBlock> values;
  TensorStatistics block;
  block.count = count;
  size_t finite = 0;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(elements[i]);
    if (!std::isfinite(value)) {
      ++(std::isnan(value) ? block.nans : block.infinities);
      continue;
    }
    block.zeros += value == 0;
    block.min = std::min(block.min, value);
    block.max = std::max(block.max, value);
    sum += value;
    values[finite++] = value;
  }
  if (finite == 0) return block;
  block.mean = sum / static_cast<double>(finite);
  for (size_t i = 0; i < finite; ++i) block.squared_deviations += (values[i] - block.mean) * (values[i] - block.mean);
  return block;
}

}  // namespace

double TensorStatistics::standard_deviation() const {
  return finite() == 0 ? 0 : std::sqrt(squared_deviations / static_cast<double>(finite()));
}

void TensorStatistics::Add(const TensorStatistics& other) {
  const auto ours = static_cast<double>(finite()), theirs = static_cast<double>(other.finite());
  count += other.count;
  zeros += other.zeros;
  nans += other.nans;
  infinities += other.infinities;
  if (theirs == 0) return;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  const double difference = other.mean - mean, share = theirs / (ours + theirs);
  mean += difference * share;
  squared_deviations += other.squared_deviations + difference * difference * share * ours;
}

TensorStatistics StatisticsOf(const HostTensor& tensor) {
  return WithElements(tensor, [&tensor](const auto* elements) {
    TensorStatistics statistics;
    for (int64_t begin = 0; begin < tensor.size(); begin += kBlock) {
      statistics.Add(OfBlock(elements + begin, std::min(kBlock, tensor.size() - begin)));
    }
    return statistics;
  });
}

}  // namespace cubist
