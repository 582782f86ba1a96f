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

absl::Status CoreSession::End() {
  wandb_internal::ServerRequest teardown;
  teardown.mutable_inform_teardown()->set_exit_code(0);
  RETURN_IF_ERROR(client->Send(teardown, std::chrono::seconds(10)));
  return process->Wait(std::chrono::seconds(10));
}

}  // namespace cubist
