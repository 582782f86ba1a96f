// The command line of inspect.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_INSPECT_FLAGS_H_
#define CUBIST_DATA_PROCESS_INSPECTION_INSPECT_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// Paths are absolute.
struct InspectFlags {
  std::string data_root;
  std::vector<std::string> clips;  // empty: all
  bool full = false;
  std::vector<std::string> attributes;  // data.attributes of --config; empty: none is asked for
  ReadLimits limits;                    // data.limits of --config, else the defaults
  std::string json;                     // file; empty: none
  std::string sheet;                    // folder; empty: none
  std::string contact_sheet;            // file; empty: none
  int threads = 0;                      // at least 1
  std::string help;                     // not empty: the text that --help asks for; nothing else is set
};

// Reads the config that --config names. ConfigError for unknown flags, missing or wrong values, a config with mistakes.
absl::StatusOr<InspectFlags> ParseInspectFlags(int argc, const char* const* argv);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_INSPECT_FLAGS_H_
