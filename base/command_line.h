// What every program does at its edges: paths as the user meant them, stopping on signals, and ending
// with a message and an exit code.
#ifndef CUBIST_BASE_COMMAND_LINE_H_
#define CUBIST_BASE_COMMAND_LINE_H_

#include <atomic>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace cubist {

// A path of the command line as an absolute, lexically normal path without a trailing slash. Relative
// ones are taken from the folder the user stands in: `bazel run` starts a program elsewhere and names
// that folder in BUILD_WORKING_DIRECTORY; without it, the current folder. An empty path stays empty.
std::string ResolvePath(std::string_view path);

// Whether standard error is a terminal, where a live progress bar can be drawn.
bool StandardErrorIsTerminal();

// From the first call on, SIGINT, SIGTERM and SIGUSR1 (SLURM's warning) set the returned flag instead of ending the
// process. A second signal ends the process at once, should it not react to the first. The flag is never destroyed.
const std::atomic<bool>* StopOnSignals();

// Writes out standard output, which is a StorageError where it fails, and prints "<program>: <message>" on standard
// error unless `result` is OK; the exit code to return from main (base/status.h).
int FinishProgram(std::string_view program, const absl::Status& result);

}  // namespace cubist

#endif  // CUBIST_BASE_COMMAND_LINE_H_
