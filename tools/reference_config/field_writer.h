// Values of a YAML config in fields of an Experiment, by the fields' paths ("data.crop_min").
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_FIELD_WRITER_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_FIELD_WRITER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "tools/reference_config/yaml_value.h"

namespace cubist {

// ConfigError at the value's place: `key` takes `wanted` ("a number"), not this value.
absl::Status WrongType(const std::string& key, const YamlValue& value, std::string_view wanted);

// Writes `value`, which stands at `key` of the reference's config, into the field of `target`; a list replaces the
// field's. False if it is of the right type but none of the field's values. Errors: WrongType(); InternalError for a
// field that is a message.
absl::StatusOr<bool> WriteField(const std::string& path, const std::string& key, const YamlValue& value,
                                Experiment* target);

// The field's value as our configs have it.
std::string FieldText(const Experiment& experiment, const std::string& path);

// Clears scalars that have their default, and messages that hold nothing then; alternatives stay.
void ClearDefaults(google::protobuf::Message* message);

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_FIELD_WRITER_H_
