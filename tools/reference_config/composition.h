// A config of the reference with everything that it includes, as the reference's own parser composes it.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_COMPOSITION_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_COMPOSITION_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/reference_config/yaml_value.h"

namespace cubist {

struct CompositionOptions {
  // The weakest file; not given: default/param.yaml in the main file's folder or one of the three above it, else what
  // the reference's own says (batch_size: 1 and so on).
  std::optional<std::string> defaults;
  std::vector<std::string> includes;     // files between the main file's includes and the main file
  std::vector<std::string> assignments;  // "a.b=value", the value in YAML; over everything else
  YamlLimits limits;
};

struct ComposedConfig {
  // A map without interpolations; texts "???" are values that nobody gave. The place of a value is where it was set
  // last: in one of the files, or by a flag. That of the root is the main file.
  YamlValue root;
  std::vector<std::string> files;  // in the order in which they were read
};

// How the config of the file at `path` is found:
//   1. `include_configs` (a text or a list, relative to the file's folder) are read the same way and merged in order;
//   2. the file itself is merged over them;
//   3. `assign`, a map from paths to values, is merged over both;
//   4. the result is merged over the defaults, and the assignments of the options over that.
// Maps merge key by key, a list replaces a list, null replaces anything, "???" nothing. ${a.b} and ${.a} stand for the
// value at that path of the whole config, wherever they came from; \${ is text.
// Errors: ConfigErrors with file, line and column: files that cannot be read or include themselves, YAML that cannot be
// parsed, maps merged with lists, interpolations of nothing or of themselves, resolvers (${oc.env:...}), anything over
// the limits.
absl::StatusOr<ComposedConfig> ComposeReferenceConfig(const std::string& path, const CompositionOptions& options = {});

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_COMPOSITION_H_
