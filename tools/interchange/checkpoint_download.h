// Checkpoints by any name: on this machine, or on the server of Weights & Biases.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DOWNLOAD_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DOWNLOAD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/wandb/server_session.h"

namespace cubist {

struct CheckpointServer {
  // wandb-core, as FindWandbCore() gives it: an error in it is one where a server is asked.
  absl::StatusOr<std::string> program;
  Environment environment;       // for ReadWandbCredentials, and where the cache is
  ServerSessionOptions session;  // `stop`: SIGINT and SIGTERM, unless it is given
};

// As ResolveCheckpoint; where nothing of a W&B name is on this machine, the server is asked, each time, since what its
// names mean moves (FindOnServer). Without an entity in the name it is WANDB_ENTITY, or the key's own. What it has is
// downloaded with progress on standard error, checked by its MD5, and kept under
//   $XDG_CACHE_HOME or ~/.cache, cubist/wandb/<entity>/<project>/<run id>/<digest of the contents>/
// from where it is not downloaded again. A folder in there is whole or not there; any number of processes may want it
// at once. It may be removed at any time.
// Nothing else is taken in the place of what was named: where nobody can tell, that is an error.
// Errors, each with what was looked for here: ConfigError where it is not there either, for names of several runs,
// without a key or with one that is refused; PeerLostError where the server cannot be reached or does not answer, with
// paths of what is in the cache, and for a download that is cut or not what the server said; StorageError where there
// is no room for it; PreemptedError after a signal.
absl::StatusOr<std::string> FindCheckpoint(std::string_view reference, const CheckpointServer& server);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_DOWNLOAD_H_
