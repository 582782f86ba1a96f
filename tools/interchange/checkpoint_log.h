// checkpoint log: what a checkpoint came from.
//
//   1. Parents are named by identity. They are looked for in the checkpoint's own run, then in the runs beside it.
//   2. Where a run's earlier checkpoint is gone (retention), the log goes on with the next earlier one that was kept.
//   3. A checkpoint with several parents (merge_ckpt) has a branch for each; one that was met already ends a branch.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_LOG_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_LOG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

struct LogEntry {
  struct Parent {
    checkpoint::Parent record;
    bool is_here = false;         // found
    std::optional<size_t> entry;  // in the log: of the parent, or of the next earlier one that was kept
    bool is_repeated = false;     // the entry was met before
  };
  CheckpointDescription description;
  absl::Status damage;  // why no more than the path is known
  std::vector<Parent> parents;
  std::vector<std::string> config_changes;  // against the only parent, where both have a config (CompareConfigs)
};

// The first entry is `path`; a parent's number is higher than its child's unless it is repeated. Reads no tensors.
// Errors: those of AnyCheckpoint for `path`; parents that cannot be read are entries with `damage`.
absl::StatusOr<std::vector<LogEntry>> ReadLog(const std::string& path);

std::string LogText(const std::vector<LogEntry>& log);
std::string LogJson(const std::vector<LogEntry>& log);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_LOG_H_
