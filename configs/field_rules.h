// What the schema demands of single fields: (min), (max), (above), (length), (required), finite numbers; and
// the defaults it states.
#ifndef CUBIST_CONFIGS_FIELD_RULES_H_
#define CUBIST_CONFIGS_FIELD_RULES_H_

#include "configs/diagnostics.h"
#include "configs/layered_config.h"
#include "google/protobuf/message.h"

namespace cubist {

// Reports every value that is set and out of its range, every list of the wrong length, and every required
// field that is missing from a message that is there.
// Their paths join the failed ones, so that no further rule stumbles over them.
void CheckFieldRules(LayeredConfig* config, Diagnostics* diagnostics);

// Writes out the default of every scalar that is not set, creating the messages that hold them. Left alone:
// messages that are (off_unless_set), and members of a oneof, except that a oneof without any member set
// gets the first one that states a default.
void FillDefaults(google::protobuf::Message* message);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_FIELD_RULES_H_
