// Runs another program to its end and takes what it prints. No shell: arguments reach it as they are.
#ifndef CUBIST_BASE_SUBPROCESS_H_
#define CUBIST_BASE_SUBPROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cubist {

struct SubprocessOptions {
  std::string folder;                                   // where it runs; empty: here
  std::optional<std::vector<std::string>> environment;  // all of it, "NAME=value"; not set: that of this process
  std::chrono::milliseconds deadline = std::chrono::minutes(1);
  size_t output_limit = size_t{16} << 20;  // bytes of standard output and error that are kept, each
};

struct SubprocessResult {
  int exit_code = 0;  // 128 + the signal, if one ended it
  std::string output;
  std::string error;
  bool ok() const { return exit_code == 0; }
};

// `arguments[0]` is a path, or a name that is looked for in PATH. Standard input is empty. Blocked signals are not
// blocked in it. Any number of threads may run programs.
// Errors: ConfigError if it cannot be executed, PeerLostError if it did not end by the deadline (it and its process
// group are killed), InternalError from the system. That it fails is no error here: look at exit_code.
absl::StatusOr<SubprocessResult> RunSubprocess(const std::vector<std::string>& arguments,
                                               const SubprocessOptions& options = {});

// Starts a program and returns its process number, for callers that wait for it and for other things too. It leads a
// process group of its own; `descriptor` becomes its standard output and error. options.folder and environment as
// above; the rest is not looked at. Errors: ConfigError if it cannot be executed, InternalError from the system.
absl::StatusOr<pid_t> StartSubprocess(const std::vector<std::string>& arguments, int descriptor,
                                      const SubprocessOptions& options = {});

}  // namespace cubist

#endif  // CUBIST_BASE_SUBPROCESS_H_
