// Where a run's files lie. Scripts may rely on this layout:
//   config.textproto   the resolved config
//   metrics.jsonl      one row of numbers a line
//   events/            TensorBoard
//   pictures/  logs/  profile/
//   checkpoints/       step-000006250/ ...
//   ledger.jsonl       what was skipped
//   lock               who is running here (run_lock.h)
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_FOLDER_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_FOLDER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace cubist {

// Chooses the folder of a run. `base` is "runs/<name>" or what --run_dir says. A fresh run takes
// `base` itself when there is nothing yet, else the next of `base`-2, `base`-3, ...; otherwise it is
// the highest numbered that exists, so that a run started fresh is the one that later starts go on
// with, and `base` when there is none. Makes nothing. StorageError if the parent cannot be listed.
absl::StatusOr<std::string> ChooseRunFolder(const std::string& base, bool fresh);

// "<parent>/<name>" with a name that is one plain path component; ConfigError if it is empty, "."
// or "..", begins with '.', or holds '/' or control characters.
absl::StatusOr<std::string> RunFolderFor(const std::string& parent, std::string_view name);

// Makes `path` and its missing parents, each durable in its parent.
absl::Status MakeDurableDirectories(FileOps& ops, const std::string& path);

class RunFolder {
 public:
  // Makes the folder and its subfolders where missing. StorageErrors name the path.
  static absl::StatusOr<RunFolder> Create(FileOps& ops, const std::string& path);
  // Names the paths below `path`; makes nothing.
  explicit RunFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string config_path() const { return path_ + "/config.textproto"; }
  std::string metrics_path() const { return path_ + "/metrics.jsonl"; }
  std::string events_path() const { return path_ + "/events"; }
  std::string pictures_path() const { return path_ + "/pictures"; }
  std::string logs_path() const { return path_ + "/logs"; }
  std::string checkpoints_path() const { return path_ + "/checkpoints"; }
  std::string ledger_path() const { return path_ + "/ledger.jsonl"; }
  std::string lock_path() const { return path_ + "/lock"; }

  // Replaces config.textproto as a whole or not at all.
  absl::Status WriteConfig(FileOps& ops, std::string_view text) const;

 private:
  std::string path_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_RUN_FOLDER_H_
