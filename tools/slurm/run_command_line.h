// The command lines of slurm_launch that are about a run: status, cancel, logs, and slot, which batch scripts call.
#ifndef CUBIST_TOOLS_SLURM_RUN_COMMAND_LINE_H_
#define CUBIST_TOOLS_SLURM_RUN_COMMAND_LINE_H_

#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// Whether the first word of a command line is one of these commands.
bool IsRunCommand(std::string_view word);

// ConfigError for a word in the place of CONFIG that is no file but looks like a mistyped command.
absl::Status CheckNoCommand(std::string_view word);

// Does what the command line says, --help included; the exit code. Errors: ConfigError for flags, and those of
// run_commands.h and slot.h.
absl::StatusOr<int> RunCommandLine(int argc, char** argv);

}  // namespace cubist

#endif  // CUBIST_TOOLS_SLURM_RUN_COMMAND_LINE_H_
