// The hyper-parameters in a Lightning checkpoint of the reference, an OmegaConf config whose objects were pickled.
#ifndef CUBIST_TOOLS_INTERCHANGE_HYPER_PARAMETERS_H_
#define CUBIST_TOOLS_INTERCHANGE_HYPER_PARAMETERS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data_process/formats/pickle.h"
#include "tools/reference_config/yaml_value.h"

namespace cubist {

// `pickled`: a DictConfig, or a plain dict. Its nodes as values, with interpolations resolved; whatever else an object
// carries (flags, types, its parent) is passed over. `file` stands for the file in messages.
// Errors: DataError naming the key: an object that is no node of OmegaConf, nesting deeper than 128, more than 40000
// values, an interpolation of nothing.
absl::StatusOr<YamlValue> ReadHyperParameters(const PickleValue& pickled, const std::string& file);

// The same as JSON in one line, in the order of keys; numbers that are not finite become null.
std::string HyperParametersJson(const YamlValue& hyper_parameters);

struct ImportedConfig {
  std::string text;  // canonical, of a valid Experiment; empty if they make none
  std::string hash;
  std::vector<std::string> remarks;  // what could not be carried over, or why there is no config; a sentence each
};

// The hyper-parameters as a config of ours (tools/reference_config). `name` becomes the name of the run.
ImportedConfig ImportHyperParameters(const YamlValue& hyper_parameters, const std::string& name);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_HYPER_PARAMETERS_H_
