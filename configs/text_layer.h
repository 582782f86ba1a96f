// One text (a file, or the block after a --set) as a message of its own, ready to be laid over others.
#ifndef CUBIST_CONFIGS_TEXT_LAYER_H_
#define CUBIST_CONFIGS_TEXT_LAYER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "configs/diagnostics.h"
#include "configs/source_text.h"
#include "google/protobuf/message.h"

namespace cubist {

// Where the value of a field was written.
struct FieldPlaces {
  Place statement;              // name and value
  Place value;                  // of a list with its brackets
  std::vector<Place> elements;  // of a list
};

struct Layer {
  std::unique_ptr<google::protobuf::Message> message;
  std::map<std::string, FieldPlaces> places;  // by path, of every field that is set, messages included
  std::set<std::string> emptied;              // lists written as []
  std::set<std::string> failed;               // fields that were meant to be set, but could not be
  bool complete = true;                       // false: nothing can be said about what is missing
};

// Parses `source` as a message of `prototype`'s type, with Protobuf's TextFormat judging every value.
// `path` is where that message is in `root`; it goes before all paths. Whatever is wrong is reported in
// full to `diagnostics` and left out of the message.
Layer ParseTextLayer(const std::shared_ptr<const SourceText>& source, const google::protobuf::Message& prototype,
                     const google::protobuf::Descriptor* root, const std::string& path, Diagnostics* diagnostics);

// Whether TextFormat takes `value` (one element of a list, or a single value) for `field` of `message`;
// sets it, or appends it, if so.
bool ParseFieldValue(const google::protobuf::FieldDescriptor* field, const std::string& value,
                     google::protobuf::Message* message);

// Reports that `field` does not take `text`: allowed values, the nearest enum name, the documentation.
void ReportWrongValue(const google::protobuf::FieldDescriptor* field, const std::string& path, const std::string& text,
                      const Place& place, Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_TEXT_LAYER_H_
