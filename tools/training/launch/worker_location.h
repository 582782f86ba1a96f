// Where the worker program is.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

// The real path of the running program, links followed. InternalError without /proc.
absl::StatusOr<std::string> ProgramPath();

// The absolute path of the executable file `name`: beside `program_path` first, so that a copied folder
// of programs works, then in Bazel's runfiles as tools/<name>: of RUNFILES_DIR, of TEST_SRCDIR, of
// "<argv0>.runfiles" and of "<program_path>.runfiles". ConfigError that lists where it was looked for.
absl::StatusOr<std::string> FindWorker(const std::string& program_path, const std::string& argv0,
                                       const Environment& environment, const std::string& name = "train_worker");

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_
