// The work of the program wandb_sync, from paths to what became of each run.
#ifndef CUBIST_TOOLS_WANDB_SYNC_SESSION_H_
#define CUBIST_TOOLS_WANDB_SYNC_SESSION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cubist {

struct SyncRequest {
  std::vector<std::string> paths;  // absolute
  std::string entity, project;     // empty: as the runs say
  bool include_synced = false;
};

struct SyncedRun {
  std::string log;                     // the .wandb file
  bool skipped = false;                // it is uploaded already
  std::optional<absl::Status> status;  // of its upload; none: it was not tried
  std::vector<std::string> remarks;    // of wandb-core
};

// Finds the runs, then uploads them one after the other, with progress on standard error; a run that fails does not
// keep back the others. `runs` gets all that were looked at. Errors: ConfigError without runs or without a key,
// PreemptedError after a signal, and the first run's that failed.
absl::Status SyncAll(const std::string& argv0, const SyncRequest& request, std::vector<SyncedRun>* runs);

// A line a run and its remarks; a list of objects with "log", "state" ("uploaded", "already_uploaded", "failed" or
// "not_tried"), "error" and "remarks".
std::string SyncText(const std::vector<SyncedRun>& runs);
std::string SyncJson(const std::vector<SyncedRun>& runs);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_SYNC_SESSION_H_
