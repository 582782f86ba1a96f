// Which run of Weights & Biases a training run is: the file wandb_run.json in its folder, by which "wdb:" names find it
// without the server.
#ifndef CUBIST_TOOLS_WANDB_RUN_IDENTITY_H_
#define CUBIST_TOOLS_WANDB_RUN_IDENTITY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace cubist {

struct WandbRunIdentity {
  std::string entity;  // empty while no server has said whose the key is
  std::string project;
  std::string id;
  std::string name;  // shown; need not be unique
};

// Replaces the file as a whole or not at all. StorageErrors.
absl::Status WriteRunIdentity(FileOps& ops, const std::string& run_folder, const WandbRunIdentity& identity);

// Nothing if the folder has no such file. DataError if the file cannot be read or is not one of ours.
absl::StatusOr<std::optional<WandbRunIdentity>> ReadRunIdentity(const std::string& run_folder);

// The collection of a run's checkpoints on the server: each is an artifact of type "model" in it, whose files are those
// of the checkpoint's folder. Its aliases: "latest" and "last" (the newest), "best" (the first that was saved after the
// lowest val_loss so far), and "step-<N>".
std::string CheckpointCollection(const std::string& run_id);
std::string StepAlias(int64_t step);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_RUN_IDENTITY_H_
