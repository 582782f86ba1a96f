// The program wandb-core as a process of ours: it stores runs and talks to the server of Weights & Biases.
//
// It ends by itself when it is told so through its socket (CoreClient), and a second and a half after this process
// died, then without writing what it still holds. It has a session of its own: Ctrl-C does not reach it.
#ifndef CUBIST_TOOLS_WANDB_CORE_PROCESS_H_
#define CUBIST_TOOLS_WANDB_CORE_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

// The path of wandb-core: beside this program, or in Bazel's runfiles. ConfigError that lists where it was looked for.
absl::StatusOr<std::string> FindWandbCore(const std::string& argv0, const Environment& environment);

struct CoreProcessOptions {
  std::string program;      // FindWandbCore()
  std::string folder;       // made if it is missing; gets wandb-core.log, all that the process prints, and its cache
  Environment environment;  // of this process; proxies are taken from it
  std::chrono::milliseconds start_deadline = std::chrono::seconds(30);
  const std::atomic<bool>* stop = nullptr;  // not null and set: gives up to start
};

// For one thread at a time.
class CoreProcess {
 public:
  // Returns once it listens. Errors: ConfigError if the program cannot be executed, StorageErrors of the folder,
  // PeerLostError if it ended or did not listen by the deadline.
  static absl::StatusOr<std::unique_ptr<CoreProcess>> Start(FileOps& ops, const CoreProcessOptions& options);
  // Ends it at once if it runs, which loses what it holds: tell it to end before, and Wait().
  ~CoreProcess();
  CoreProcess(const CoreProcess&) = delete;
  CoreProcess& operator=(const CoreProcess&) = delete;

  // Of its Unix socket.
  const std::string& socket_path() const { return socket_path_; }
  pid_t pid() const { return pid_; }

  // How it ended, "ended with exit code 2" or "was ended by signal 9 (Killed)"; nothing while it runs.
  std::optional<std::string> End();
  // Waits for it to end; OK if it did so with exit code 0. PeerLostError otherwise, also when it still runs after
  // `deadline`.
  absl::Status Wait(std::chrono::milliseconds deadline);

 private:
  CoreProcess(pid_t pid, std::string log) : pid_(pid), log_(std::move(log)) {}
  absl::Status WaitUntilItListens(const std::string& port_file, const CoreProcessOptions& options);

  const pid_t pid_;
  const std::string log_;
  std::string socket_path_;
  std::optional<int> status_;  // as waitpid gives it
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_CORE_PROCESS_H_
