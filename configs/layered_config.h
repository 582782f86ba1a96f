// Several texts laid over one another, with the origin of every value.
#ifndef CUBIST_CONFIGS_LAYERED_CONFIG_H_
#define CUBIST_CONFIGS_LAYERED_CONFIG_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "configs/diagnostics.h"
#include "configs/text_layer.h"
#include "google/protobuf/message.h"

namespace cubist {

struct LayeredConfig {
  std::unique_ptr<google::protobuf::Message> message;
  std::map<std::string, FieldPlaces> places;          // of every field that a file or flag set
  std::map<std::string, std::string> preset_origins;  // of fields that a preset set: "compat: REFERENCE"
  std::set<std::string> failed;                       // see Layer::failed
  bool complete = true;                               // see Layer::complete
  Place beginning;                                    // of the file that was asked for

  // True if none of these could have been meant to have another value: rules about fields that already
  // have a message of their own would only add noise.
  bool Sound(const std::vector<std::string>& paths) const;

  // Where the value at `path` was written; else the nearest message above it; else the file itself.
  Place PlaceOf(const std::string& path) const;
  // Of element `index` of a list.
  Place PlaceOfElement(const std::string& path, int index) const;
};

// Lays `layer` over `config`: messages merge, lists replace, a member of a oneof replaces another.
void ApplyLayer(const Layer& layer, LayeredConfig* config);

// Clears the field at `path`, which must exist in the schema, with all it holds.
void ResetPath(const std::string& path, LayeredConfig* config);

// Reads the file at `path` and everything it includes, in the order that configs/loader.h states, over what
// `config` holds. The message type needs the fields `include` and `reset` (lists of text); both are empty
// afterwards. Everything wrong goes to `diagnostics`, unreadable files and cycles of includes too.
void ApplyFile(const std::string& path, LayeredConfig* config, Diagnostics* diagnostics);
// The same for text at hand, which `name` stands for.
void ApplyText(const std::string& text, const std::string& name, LayeredConfig* config, Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_LAYERED_CONFIG_H_
