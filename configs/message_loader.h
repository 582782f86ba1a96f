// The textproto of a tool other than train, into the tool's own message.
#ifndef CUBIST_CONFIGS_MESSAGE_LOADER_H_
#define CUBIST_CONFIGS_MESSAGE_LOADER_H_

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace cubist {

// Fills `message` with what the file at `path` and the files it includes say, as configs/loader.h describes for
// experiments, and with the schema's defaults: every scalar that has one carries its value. An empty path: the
// defaults alone. The message type needs the fields `include` and `reset` (lists of text).
// Errors: a ConfigError that lists every mistake of all files with line, caret and what was meant; or that a file
// cannot be read.
absl::Status LoadMessage(const std::string& path, google::protobuf::Message* message);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_MESSAGE_LOADER_H_
