// The command line of a tool whose options are a message: a textproto, flags that set its fields, or both.
#ifndef CUBIST_CONFIGS_MESSAGE_FLAGS_H_
#define CUBIST_CONFIGS_MESSAGE_FLAGS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace cubist {

// A flag sets the field of its meaning, whose (doc) is its help.
struct MessageFlag {
  const char* names;  // "--input_attribute,--video_subdir", "--strict,!--no_strict"
  const char* field;  // at the top of the message: text, bool, a whole number of 32 bits, an enum, or a list of text
  const char* type;   // of its value, for people; empty: it has none (bool)
  bool is_path = false;
};

struct MessageProgram {
  const char* name;
  const char* description;
  const char* footer;   // examples and exit codes
  const char* schema;   // "configs/proto/metadata.proto"
  size_t column_width;  // of the flags in --help
  std::vector<MessageFlag> flags;
};

// Fills `message`: the schema's defaults, over them the textproto if one is named, over that the flags; lists of the
// flags replace those of the file, and fields that are paths are absolute (ResolvePath of base/command_line.h).
// Names of an enum may be in lower case. Returns "", or the text that --help asks for; then nothing is set.
// Errors: ConfigError for unknown flags (with the nearest), missing, empty, wrong and contradictory values, and every
// mistake in the textproto.
absl::StatusOr<std::string> ParseMessageFlags(int argc, const char* const* argv, const MessageProgram& program,
                                              google::protobuf::Message* message);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_MESSAGE_FLAGS_H_
