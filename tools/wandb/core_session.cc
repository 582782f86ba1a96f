#include "tools/wandb/core_session.h"

#include "base/status.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {

absl::StatusOr<CoreSession> CoreSession::Start(FileOps& ops, const CoreProcessOptions& options) {
  CoreSession session;
  ASSIGN_OR_RETURN(session.process, CoreProcess::Start(ops, options));
  ASSIGN_OR_RETURN(session.client, CoreClient::Connect(session.process->socket_path()));
  return session;
}

absl::Status CoreSession::End(int exit_code, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  wandb_internal::ServerRequest teardown;
  teardown.mutable_inform_teardown()->set_exit_code(exit_code);
  RETURN_IF_ERROR(client->Send(teardown, deadline));
  return process->Wait(std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()));
}

}  // namespace cubist
