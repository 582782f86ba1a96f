#include "tools/wandb/testing/core.h"

#include <cstdio>
#include <cstdlib>

#include "base/host_tensor.h"
#include "data_process/formats/png.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

template <typename T>
T OrAbort(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::abort();
}

}  // namespace

TestCore StartTestCore(const std::string& folder) {
  TestCore core;
  CoreProcessOptions options;
  options.environment = CurrentEnvironment();
  options.program = OrAbort(FindWandbCore("", options.environment));
  options.folder = folder;
  core.process = OrAbort(CoreProcess::Start(SystemFileOps(), options));
  core.client = OrAbort(CoreClient::Connect(core.process->socket_path()));
  return core;
}

absl::Status TestCore::End() {
  wandb_internal::ServerRequest teardown;
  teardown.mutable_inform_teardown()->set_exit_code(0);
  const absl::Status sent = client->Send(teardown, std::chrono::seconds(30));
  return sent.ok() ? process->Wait(std::chrono::seconds(60)) : sent;
}

std::string TestPng() { return FormatPng(HostTensor::Of<uint8_t>({1, 2, 3, 4, 5, 6}, {1, 2, 3})); }

}  // namespace cubist
