#include "configs/flat_fields.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "configs/canonical_text.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

nlohmann::json Number(double value) {
  if (!std::isfinite(value)) return ShortestNumber(value);
  return value;
}

// A value of a field that holds no message; `index`: of a list's element, -1 for another field.
nlohmann::json Value(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool single = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return single ? reflection.GetBool(message, field) : reflection.GetRepeatedBool(message, field, index);
    case FieldDescriptor::CPPTYPE_INT32:
      return single ? reflection.GetInt32(message, field) : reflection.GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return single ? reflection.GetInt64(message, field) : reflection.GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return single ? reflection.GetUInt32(message, field) : reflection.GetRepeatedUInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return single ? reflection.GetUInt64(message, field) : reflection.GetRepeatedUInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Number(single ? reflection.GetFloat(message, field) : reflection.GetRepeatedFloat(message, field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Number(single ? reflection.GetDouble(message, field)
                           : reflection.GetRepeatedDouble(message, field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return (single ? reflection.GetEnum(message, field) : reflection.GetRepeatedEnum(message, field, index))->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return single ? reflection.GetString(message, field) : reflection.GetRepeatedString(message, field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return nullptr;
}

void Add(const Message& message, const std::string& prefix, std::map<std::string, nlohmann::json>* flat) {
  std::vector<const FieldDescriptor*> fields;
  const Reflection& reflection = *message.GetReflection();
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    const bool holds_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      if (holds_message) {
        Add(reflection.GetMessage(message, field), path + "/", flat);
      } else {
        (*flat)[path] = Value(message, field, -1);
      }
      continue;
    }
    nlohmann::json list = nlohmann::json::array();
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (holds_message) {
        Add(reflection.GetRepeatedMessage(message, field, i), absl::StrCat(path, "/", i, "/"), flat);
      } else {
        list.push_back(Value(message, field, i));
      }
    }
    if (!holds_message) (*flat)[path] = std::move(list);
  }
}

}  // namespace

std::map<std::string, nlohmann::json> FlatFields(const Message& message) {
  std::map<std::string, nlohmann::json> flat;
  Add(message, "", &flat);
  return flat;
}

}  // namespace cubist
