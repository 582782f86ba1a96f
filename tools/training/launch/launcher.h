// Starts the worker processes of a run, passes signals on to them and waits for all of them.
//
// Protocol:
// 1. The stopping signals (SIGINT, SIGTERM, SIGUSR1, and SIGHUP unless it is ignored) are blocked, here and in
//    the workers: a worker that is still loading its libraries when one comes takes it later, when
//    InstallStopSignalHandlers() of stop_signal.h unblocks them.
// 2. The workers are started. Each dies with this process, however that ends.
// 3. The first stopping signal is passed on to all workers, once: they save and end with 75. A SIGINT or SIGTERM more
//    than a second after another one kills them; in a job of SLURM, which sends SIGTERM several times, a SIGINT alone.
// 4. When a worker fails (neither 0 nor 75), the others, which lose their peer, have a grace period to end by
//    themselves; then they are killed. When one ends because a peer was lost (5), and none for a reason of its own,
//    those that remain are the ones that were waited for in vain: they get a short grace period.
// 5. All are waited for. CombinedExitCode() of worker_ends.h says what the run's exit code is.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_LAUNCHER_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_LAUNCHER_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

struct WorkerCommand {
  int rank = 0;
  std::vector<std::string> arguments;  // the first is the path of the program
  // "NAME=value"; these replace variables of this process's environment.
  std::vector<std::string> environment;
  // File to which standard output and error are appended; empty: those of this process.
  std::string output_path;
  // Descriptors that this worker inherits, under the same numbers.
  std::vector<int> inherited_descriptors;
};

struct LaunchOptions {
  // Step 4.
  std::chrono::milliseconds grace_after_failure = std::chrono::seconds(30);
  std::chrono::milliseconds grace_after_peer_lost = std::chrono::seconds(5);
  // Lines of a failed worker's output file that are shown on standard error.
  int shown_lines = 30;
};

// Runs all workers to their end; the exit code of the run, 128 + signal after a second signal.
// How each worker that failed ended, and which ones were killed here, is said on standard error, with the end of the
// output file of those that failed.
// To be called while the process has one thread. Errors, with nothing left running: ConfigError if a program
// cannot be executed, StorageError if an output file cannot be opened, InternalError from the system.
absl::StatusOr<int> RunWorkers(const std::vector<WorkerCommand>& workers, const LaunchOptions& options = {});

// A socket that listens on a free port of the loopback, closed on exec unless inherited.
struct ListeningSocket {
  int descriptor = -1;
  int port = 0;
};
absl::StatusOr<ListeningSocket> ListenOnLoopback();

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_LAUNCHER_H_
