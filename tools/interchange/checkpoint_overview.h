// checkpoint show: what a checkpoint holds.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_OVERVIEW_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_OVERVIEW_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_draft.h"
#include "tools/interchange/reference_names.h"
#include "tools/interchange/tensor_statistics.h"

namespace cubist {

struct OverviewOptions {
  bool statistics = true;
  std::string group;  // "model", "ema", "optimizer"; empty: all
  std::string match;  // names with this in them, or of this pattern if it has any of *?[; empty: all
  int depth = 0;      // levels of the tree that are drawn; 0: all
};

struct CheckpointOverview {
  struct Tensor {
    ListedTensor tensor;
    TensorStatistics statistics;
  };
  CheckpointDescription description;
  ReferenceModel model = ReferenceModel::kOther;
  std::vector<Tensor> tensors;  // those that were asked for
  size_t of = 0;                // all that there are
};

// Reads one tensor at a time, none without statistics. Errors: ConfigError if nothing is in the group or matches; those
// of the checkpoint.
absl::StatusOr<CheckpointOverview> LookAt(const AnyCheckpoint& checkpoint, const OverviewOptions& options,
                                          const BytesProgress& progress);

// A header, a tree for each group, sums; at most 100 columns but for long names.
std::string OverviewText(const CheckpointOverview& overview, const OverviewOptions& options);
// Everything in full: each tensor with its statistics (null for what is not finite), the config's text.
std::string OverviewJson(const CheckpointOverview& overview, const OverviewOptions& options);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_OVERVIEW_H_
