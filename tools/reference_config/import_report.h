// From a file of the reference to the text of a config of ours, and what is to be said about it.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/reference_config/composition.h"

namespace cubist {

struct ImportReport {
  std::string text;     // a textproto that configs/loader.h accepts
  std::string remarks;  // what was added or assumed and what could not be carried over, one a line
  int leftovers = 0;    // keys that could not
  int with_effect = 0;  // those of them that change what is computed
};

// Reads the file at `path` as composition.h says. The run is named after the file.
// Errors: those of composition.h and experiment_import.h; a ConfigError when what the file says makes no valid config.
absl::StatusOr<ImportReport> ImportReferenceConfig(const std::string& path, const CompositionOptions& options = {});

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_
