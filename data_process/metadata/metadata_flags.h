// The command line of generate_metadata_csv.
#ifndef CUBIST_DATA_PROCESS_METADATA_METADATA_FLAGS_H_
#define CUBIST_DATA_PROCESS_METADATA_METADATA_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "configs/proto/metadata.pb.h"

namespace cubist {

struct MetadataFlags {
  Metadata options;  // complete, with absolute paths
  std::string help;  // not empty: the text that --help asks for; nothing else is set
};

// The schema's defaults, over them the textproto if one is named, over that the flags; lists of the flags replace those
// of the file. Errors: ConfigError for unknown flags, missing or wrong values, and every mistake in the textproto.
absl::StatusOr<MetadataFlags> ParseMetadataFlags(int argc, const char* const* argv);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_METADATA_FLAGS_H_
