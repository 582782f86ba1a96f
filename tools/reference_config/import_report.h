// From a file of the reference to the text of a config of ours, and what is to be said about it.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/reference_config/composition.h"

namespace cubist {

struct ImportReport {
  std::string text;  // a textproto that configs/loader.h accepts
  // For the user to look at, one a line: keys that change what is computed and could not be carried over, then what was
  // added or assumed.
  std::string remarks;
  std::string without_effect_lines;  // the keys that change nothing and could not be carried over, one a line
  int with_effect = 0;               // how many keys of the one kind there are
  int without_effect = 0;            // and of the other
};

// Reads the file at `path` as composition.h says. The run is named after the file.
// Errors: those of composition.h and experiment_import.h; a ConfigError when what the file says makes no valid config,
// which names the keys and places of the values in question.
absl::StatusOr<ImportReport> ImportReferenceConfig(const std::string& path, const CompositionOptions& options = {});

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_IMPORT_REPORT_H_
