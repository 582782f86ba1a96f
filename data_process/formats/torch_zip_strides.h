// Makes a strided view of a storage dense while the storage passes by once, in its own order.
#ifndef CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_STRIDES_H_
#define CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_STRIDES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "data_process/formats/pickle.h"

namespace cubist {

// An axis of more than one element; steps in elements.
struct StridedAxis {
  int64_t extent;
  int64_t from;  // step in the storage
  int64_t to;    // step in the dense, row-major tensor
};

// The order in which a view's elements are taken.
struct StridedPlan {
  // By falling step in the storage; what is contiguous in both is one axis. Without those of stride 0.
  std::vector<StridedAxis> axes;
  // Whether elements share their place in the storage in other ways than by a stride of 0.
  bool overlaps = false;
  int64_t span = 1;  // elements of the storage from the first to the last that are used
};

StridedPlan PlanStrides(const PickleTensor& tensor);

struct GatherOptions {
  uint64_t window_bytes = uint64_t{4} << 20;
  // Bytes between rows that are rather read than skipped.
  uint64_t max_gap_bytes = ~uint64_t{0};
};

// Bytes `begin` to `begin` + `size` of the storage into `target`. Called with ranges in order that do not overlap.
using ReadStorage = std::function<absl::Status(uint64_t begin, uint64_t size, char* target)>;

// Fills `result`, dense and row-major, with the elements of `tensor`. Memory: one window of options.window_bytes, or
// the whole span where elements overlap. Errors: those of `read`.
absl::Status GatherStrided(const PickleTensor& tensor, const GatherOptions& options, const ReadStorage& read,
                           char* result);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_TORCH_ZIP_STRIDES_H_
