// The voxel branch and the pixel branch of the Gaussian reconstruction as one dual-branch checkpoint.
//
//   1. The result has every tensor of the group "model" of both, sorted by name; averages and optimizers stay behind.
//   2. A tensor that both have, bit for bit the same, is taken once. Where they differ in anything, the policy decides.
//   3. The config is the pixel branch's, made DUAL, with what the voxel branch alone reads: its encoder, backbone and
//      frames. Which fields these are is in the report.
// Equal inputs give equal bytes. Source of the rule: spec of the reference's model_merge_util.
#ifndef CUBIST_TOOLS_INTERCHANGE_BRANCH_MERGE_H_
#define CUBIST_TOOLS_INTERCHANGE_BRANCH_MERGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "configs/proto/merge.pb.h"
#include "tools/interchange/any_checkpoint.h"
#include "tools/interchange/checkpoint_draft.h"
#include "tools/interchange/checkpoint_reference.h"

namespace cubist {

struct MergeReport {
  struct Tensor {
    ListedTensor tensor;
    std::string from;  // "branch_3d", "branch_2d", or "both" where they are the same
    bool conflict = false;
  };
  CheckpointDescription branch_3d, branch_2d;
  Merge::OnConflict on_conflict = Merge::FAIL;
  std::vector<Tensor> tensors;  // of the result, by name
  std::vector<std::string> dropped;
  std::string config_name;                 // of the result's config; empty: none
  std::vector<std::string> config_fields;  // taken from the voxel branch's
  std::vector<std::string> remarks;
  std::string folder, file;  // what was written
};

// What the two become. `options`: on_conflict, config, drop_unused. Errors: DataError: one of them is not the branch it
// is given as (also when they are swapped); with FAIL, the tensors that differ; errors of the checkpoints. ConfigError:
// the config cannot be read or is not of a dual-branch model.
absl::StatusOr<CheckpointDraft> MergeBranches(const AnyCheckpoint& branch_3d, const AnyCheckpoint& branch_2d,
                                              const Merge& options, MergeReport* report);

// What came from where: for people, and for programs.
std::string MergeReportText(const MergeReport& report);
std::string MergeReportJson(const MergeReport& report);

// The whole of merge_ckpt but its command line: resolves (by `resolve`) and opens both, merges, and writes OUTPUT.ckpt
// and the folder OUTPUT, which also gets merge_report.txt and merge_report.json. Nothing stays of what could not be
// finished. Errors: as above; ConfigError for missing options or outputs that exist; StorageError.
absl::StatusOr<MergeReport> RunMerge(FileOps& ops, const Merge& options, const BytesProgress& progress,
                                     const CheckpointResolver& resolve = ResolveCheckpoint);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_BRANCH_MERGE_H_
