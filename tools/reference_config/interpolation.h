// ${a.b} in the values of a config.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_INTERPOLATION_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_INTERPOLATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/reference_config/yaml_value.h"

namespace cubist {

// Whether a value is a text with ${.
bool IsInterpolation(const YamlValue& value);

// `root` with all interpolations replaced by what they stand for. A value that an interpolation of nothing else stands
// for keeps its place: where it is written, not where it is asked for.
// Errors: as ComposeReferenceConfig says.
absl::StatusOr<YamlValue> ResolveInterpolations(const YamlValue& root, const YamlLimits& limits);

// The same for the value at `key` of `root`, a map that has it, alone.
absl::StatusOr<YamlValue> ResolveEntry(const YamlValue& root, const std::string& key, const YamlLimits& limits);

// The map or list that the interpolation at `path` of `root` stands for, its own interpolations as they are; null when
// it stands for something else, or for nothing.
const YamlValue* ContainerBehind(const YamlValue& root, const std::vector<std::string>& path, const YamlLimits& limits);

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_INTERPOLATION_H_
