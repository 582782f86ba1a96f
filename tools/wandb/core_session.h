// wandb-core for a short while: started, asked things, and ended in peace.
#ifndef CUBIST_TOOLS_WANDB_CORE_SESSION_H_
#define CUBIST_TOOLS_WANDB_CORE_SESSION_H_

#include <chrono>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/wandb/core_client.h"
#include "tools/wandb/core_process.h"

namespace cubist {

struct CoreSession {
  // Errors: those of CoreProcess::Start and CoreClient::Connect.
  static absl::StatusOr<CoreSession> Start(FileOps& ops, const CoreProcessOptions& options);
  // Lets it end, which removes its socket too. Without this it is killed. PeerLostError where it does not end well.
  absl::Status End(int exit_code = 0, std::chrono::milliseconds deadline = std::chrono::seconds(10));

  std::unique_ptr<CoreProcess> process;
  std::shared_ptr<CoreClient> client;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_CORE_SESSION_H_
