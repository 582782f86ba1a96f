// checkpoint diff: what differs between two checkpoints.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DIFFERENCE_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DIFFERENCE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/host_tensor.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_draft.h"

namespace cubist {

// Of two tensors of one dtype and shape, value by value. 0 is -0, and NaN is NaN, whatever its bits.
struct ValueDifference {
  int64_t count = 0;      // of values
  int64_t different = 0;  // of them
  // |a - b|, with the first place where it is the largest; infinite where one of the two is not finite. 64-bit integers
  // are subtracted exactly.
  double absolute = 0;
  std::vector<int64_t> absolute_at;
  double a = 0, b = 0;  // there
  // |a - b| / max(|a|, |b|)
  double relative = 0;
  std::vector<int64_t> relative_at;
};
ValueDifference CompareValues(const HostTensor& a, const HostTensor& b);

struct CheckpointDifference {
  struct Typed {
    ListedTensor a, b;
  };
  struct Changed {
    ListedTensor tensor;
    ValueDifference values;
  };
  CheckpointDescription a, b;
  std::set<std::string> groups_of_a, groups_of_b;
  std::vector<ListedTensor> only_in_a, only_in_b;
  std::vector<Typed> types;      // another dtype or shape
  std::vector<Changed> changed;  // by more than the tolerance
  int64_t equal = 0;
  int64_t within_tolerance = 0;     // different, but not by more
  double largest_within = 0;        // of their differences
  std::vector<std::string> config;  // CompareConfigs
  std::vector<std::string> state;   // "step: 100 -> 200", as for config
  std::string hint;                 // a prefix that could explain names that only one has; empty: none

  // Path, format, time, host, program version and parents may differ, and so may all else about the run if one of the
  // two is weights alone.
  bool same() const {
    return only_in_a.empty() && only_in_b.empty() && types.empty() && changed.empty() && config.empty() &&
           state.empty();
  }
};

// One tensor and a piece of its counterpart are in memory. `tolerance`: absolute differences up to this are no change.
// Errors: those of the checkpoints.
absl::StatusOr<CheckpointDifference> CompareCheckpoints(const AnyCheckpoint& a, const AnyCheckpoint& b,
                                                        double tolerance, const BytesProgress& progress);

// The sums first, then each difference.
std::string DifferenceText(const CheckpointDifference& difference);
std::string DifferenceJson(const CheckpointDifference& difference);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DIFFERENCE_H_
