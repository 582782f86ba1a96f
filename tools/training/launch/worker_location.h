// Where the worker program is, and other programs and files of this build.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

// The real path of the running program, links followed. InternalError without /proc.
absl::StatusOr<std::string> ProgramPath();

// Where the files of this workspace may stand in Bazel's runfiles: below RUNFILES_DIR, TEST_SRCDIR, "<argv0>.runfiles"
// and "<program_path>.runfiles", in this order.
std::vector<std::string> RunfilesFolders(const std::string& program_path, const std::string& argv0,
                                         const Environment& environment);

// The absolute path of the executable file `target` ("tools/train"): by its name beside `program_path` first, so that a
// copied folder of programs works, then in RunfilesFolders. ConfigError that lists where it was looked for.
absl::StatusOr<std::string> FindProgram(const std::string& program_path, const std::string& argv0,
                                        const Environment& environment, const std::string& target);

// FindProgram of "tools/<name>".
absl::StatusOr<std::string> FindWorker(const std::string& program_path, const std::string& argv0,
                                       const Environment& environment, const std::string& name = "train_worker");

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_LOCATION_H_
