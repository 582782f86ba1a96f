// What the server of Weights & Biases has of a run's checkpoints.
#ifndef CUBIST_TOOLS_INTERCHANGE_REMOTE_CHECKPOINT_H_
#define CUBIST_TOOLS_INTERCHANGE_REMOTE_CHECKPOINT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/interchange/wandb_reference.h"
#include "tools/wandb/reference_lookup.h"
#include "tools/wandb/server_session.h"

namespace cubist {

struct RemoteCheckpoint {
  std::string key;  // names the contents: hexadecimal digits
  std::vector<RemoteFile> files;
  std::string file;  // the one of them that is the checkpoint; empty: they are the files of a checkpoint's folder
};

struct RemoteSearch {
  std::string run_id;  // empty: there is no such run
  std::optional<RemoteCheckpoint> checkpoint;
  std::string missing;                // without a checkpoint: what was looked for
  std::optional<int64_t> best_epoch;  // where that is what was looked for: its files are named by it
};

// `run` with its entity, `which` as ParseWhich gives it.
//   1. Which run: by its id, or the name that it is shown by; an id (8 letters and digits) is tried first as one.
//   2. Its artifacts, in the collection CheckpointCollection(id): by the alias "last", else "latest" (as Lightning
//   calls
//      it); "best"; StepAlias(number). Those of ours hold the files of a checkpoint's folder, Lightning's one .ckpt.
//   3. Its files checkpoints/*.ckpt, as ChooseLightningFile tells them. The best is of that epoch which the run's
//      history has in its row with the lowest val_loss. (The reference takes that row's position for the epoch, which
//      is another number as soon as not every epoch has a row.)
// Errors: ConfigError where several runs are shown by the name, or several files are of one epoch; those of
// ServerSession.
absl::StatusOr<RemoteSearch> FindOnServer(ServerSession& session, const NamedRun& run, const std::string& which);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_REMOTE_CHECKPOINT_H_
