// A composed config of the reference as an Experiment of ours.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_EXPERIMENT_IMPORT_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_EXPERIMENT_IMPORT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "tools/reference_config/yaml_value.h"

namespace cubist {

// A key that no field carries, or that should be there and is not.
struct Leftover {
  std::string key;
  std::string value;  // as JSON; "": the key is not there
  YamlPlace place;
  bool has_effect = true;  // what the reference computes depends on it, and ours computes something else
  std::string reason;
};

// Where the value of a field comes from.
struct FieldOrigin {
  std::string key;
  YamlPlace place;  // without a file: the key is not there, and the value is what the reference takes then
};

struct ImportedExperiment {
  Experiment experiment;                       // only what differs from the schema's defaults
  std::map<std::string, FieldOrigin> origins;  // by the fields' paths, of fields that name keys
  std::vector<Leftover> leftovers;
  // "added ...": what the reference downloads. "assumed: ...": what its code takes for a key that is not there.
  std::vector<std::string> remarks;
};

// Fields name their keys themselves (reference_key in configs/proto/field_options.proto); what the two spell
// differently is listed at the top of experiment_import.cc. Keys without a field, and what the reference takes for one
// that is not there or null, are in configs/reference_keys.h. A null that stands for no value there, and a missing key
// that the reference does not run without, are leftovers with effect.
// `name` becomes the name of the run.
// Errors: ConfigErrors with file, line and column: no model that there is, a value of another type than its field's.
absl::StatusOr<ImportedExperiment> ImportExperiment(const YamlValue& config, const std::string& name);

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_EXPERIMENT_IMPORT_H_
