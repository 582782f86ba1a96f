// The command line of checkpoint.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_FLAGS_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/interchange/checkpoint_overview.h"
#include "tools/interchange/conversion.h"

namespace cubist {

struct CheckpointFlags {
  std::string command;                  // "show", "diff", "verify", "convert", "log"
  std::vector<std::string> references;  // one; two of diff; any number of verify
  std::string output;                   // of convert
  std::string json;
  OverviewOptions overview;
  bool no_statistics = false;  // is in `overview`, too
  double tolerance = 0;
  ConversionOptions conversion;
  std::string help;  // not empty: what --help asks for; nothing else is set
};

// Paths but references are absolute. Errors: ConfigError for anything that cannot be meant.
absl::StatusOr<CheckpointFlags> ParseCheckpointFlags(int argc, const char* const* argv);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_FLAGS_H_
