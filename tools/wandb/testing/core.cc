#include "tools/wandb/testing/core.h"

#include <cstdio>
#include <cstdlib>

#include "base/host_tensor.h"
#include "data_process/formats/png.h"
#include "tools/training/launch/rendezvous_environment.h"

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
  CoreProcessOptions options;
  options.environment = CurrentEnvironment();
  options.program = OrAbort(FindWandbCore("", options.environment));
  options.folder = folder;
  return OrAbort(CoreSession::Start(SystemFileOps(), options));
}

std::string TestPng() { return FormatPng(HostTensor::Of<uint8_t>({1, 2, 3, 4, 5, 6}, {1, 2, 3})); }

}  // namespace cubist
