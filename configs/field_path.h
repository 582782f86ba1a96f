// Paths such as "data.crop_min" against a schema, and what to say about a field.
#ifndef CUBIST_CONFIGS_FIELD_PATH_H_
#define CUBIST_CONFIGS_FIELD_PATH_H_

#include <cstddef>
#include <string>
#include <vector>

#include "configs/proto/field_options.pb.h"
#include "google/protobuf/descriptor.h"

namespace cubist {

// `path` as fields from `root` down; empty for "". On failure `error` says why and [begin, end) is the
// part of `path` to blame. Every field but the last is a single message.
struct ResolvedPath {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  std::string error;
  std::vector<std::string> notes;
  size_t begin = 0;
  size_t end = 0;
  bool ok() const { return error.empty(); }
};
ResolvedPath ResolvePath(const google::protobuf::Descriptor* root, const std::string& path);

// "data" + "crop_min" -> "data.crop_min"; an empty parent adds nothing.
std::string JoinPath(const std::string& parent, const std::string& name);

// Number of single-character insertions, removals, replacements and swaps of neighbours between two words.
int EditDistance(const std::string& a, const std::string& b);

// The candidate nearest to `word`, if it is near enough to be meant; "" otherwise. Case does not count.
std::string NearestWord(const std::string& word, const std::vector<std::string>& candidates);

// "voxel_vae has no field "bas_channels"" and the notes that go with it: the nearest name in this message,
// or where in the schema of `root` a field of that name is, then what may stand here.
std::string UnknownFieldMessage(const std::string& message_path, const std::string& name);
std::vector<std::string> UnknownFieldNotes(const google::protobuf::Descriptor* root,
                                           const google::protobuf::Descriptor* message, const std::string& message_path,
                                           const std::string& name);

// "a whole number from 1 to 4096 (m)", "one of FP32, FP64", "a list of 3 numbers", ...: what may be written.
std::string AllowedValues(const google::protobuf::FieldDescriptor* field);
// The same for one element of a list.
std::string AllowedElement(const google::protobuf::FieldDescriptor* field);

// "base_channels: Channels of the finest level. (a whole number from 1 to 1024, default 64)".
std::string FieldSummary(const google::protobuf::FieldDescriptor* field, const std::string& path);

// The default that the schema states, as it would be written; "" when it states none.
std::string DefaultText(const google::protobuf::FieldDescriptor* field);

// The rule for the last of `fields` on resume: its own, else the nearest above, else FATAL.
OnResume ResumeRule(const std::vector<const google::protobuf::FieldDescriptor*>& fields);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_FIELD_PATH_H_
