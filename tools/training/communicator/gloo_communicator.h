// The Communicator of CPU ranks: Gloo and the TCP store of LibTorch's c10d.
//
// Protocol of a failure (the healthy path costs nothing but the operation):
// 1. A rank waits for an operation in slices. After each slice it asks the store whether some rank has
//    failed; if so, or if Gloo reports an error, or at the deadline, whatever the store does, it stops waiting.
// 2. It writes into the store "failed" and, under its own rank, where it stands: operation, sequence
//    number and, after Abort, the reason.
// 3. It waits a short time for the others to do the same. Those that do not are the lost ones.
// Rank 0 serves the store, so it leaves last: it waits until all that reported have read.
// A store that does not answer (its process is stopped, its node frozen or cut off) is waited for once, for two
// seconds, and then left alone until it answers. A rank that fails meanwhile names the store, and rank 0 as the lost
// one.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_GLOO_COMMUNICATOR_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_GLOO_COMMUNICATOR_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/training/communicator/communicator.h"

namespace cubist {

struct GlooOptions {
  int rank = 0;
  int world_size = 1;
  // Where the store is served: by rank 0 of this world, or, if `store_is_external`, by whoever started
  // the ranks (torchrun).
  std::string master_address;
  int master_port = 0;
  bool store_is_external = false;
  // Rank 0 only: a listening socket, already bound to that port, that it takes over; -1: it binds.
  int listen_descriptor = -1;
  // Names of this start's entries in an external store; differs from restart to restart.
  std::string session;
  // Of every operation.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  // Of the meeting of all ranks at the start: nodes of a cluster may start minutes apart.
  std::chrono::milliseconds meeting_deadline = std::chrono::minutes(10);
  // Polled while the other ranks have not come yet; may be null.
  std::function<bool()> stop_requested;
};

// Meets the other ranks; returns once all are connected. Errors: PeerLostError naming the ranks that
// did not come before meeting_deadline, or the store that does not answer; PreemptedError when stop_requested() said
// so; ConfigError for options that cannot be, and for world sizes that differ: every rank at the store is told both,
// without waiting for a deadline.
//
// After an operation has failed, background threads may still wait in Gloo until the deadline, or for the store. The
// communicator is then never torn down: end the process by std::_Exit or a signal.
absl::StatusOr<std::unique_ptr<Communicator>> ConnectGloo(const GlooOptions& options);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_GLOO_COMMUNICATOR_H_
