#include "configs/canonical_text.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/escaping.h"
#include "google/protobuf/descriptor.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <typename T>
std::string Shortest(T value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // "0.0001" and "50000" where people would write them so, "1e-06" and "1e+20" beyond.
  const T magnitude = std::abs(value);
  const bool plain = magnitude == 0 || (magnitude >= T(1e-4) && magnitude < T(1e15));
  char buffer[64];
  const std::to_chars_result result = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                                    plain ? std::chars_format::fixed : std::chars_format::scientific);
  return std::string(buffer, result.ptr);
}

std::string BlockText(const Message& message);

// Element `index` of a list, or with index -1 the value of a single field.
std::string ValueText(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool list = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(list ? reflection->GetRepeatedInt32(message, field, index)
                                 : reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(list ? reflection->GetRepeatedInt64(message, field, index)
                                 : reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(list ? reflection->GetRepeatedUInt32(message, field, index)
                                 : reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(list ? reflection->GetRepeatedUInt64(message, field, index)
                                 : reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Shortest(list ? reflection->GetRepeatedDouble(message, field, index)
                           : reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Shortest(list ? reflection->GetRepeatedFloat(message, field, index)
                           : reflection->GetFloat(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (list ? reflection->GetRepeatedBool(message, field, index) : reflection->GetBool(message, field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return (list ? reflection->GetRepeatedEnum(message, field, index) : reflection->GetEnum(message, field))->name();
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text =
          list ? reflection->GetRepeatedString(message, field, index) : reflection->GetString(message, field);
      return "\"" + absl::Utf8SafeCEscape(text) + "\"";
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return BlockText(list ? reflection->GetRepeatedMessage(message, field, index)
                            : reflection->GetMessage(message, field));
  }
  return "";
}

std::string ListText(const Message& message, const FieldDescriptor* field) {
  std::string result = "[";
  const int size = message.GetReflection()->FieldSize(message, field);
  for (int i = 0; i < size; ++i) result += (i > 0 ? ", " : "") + ValueText(message, field, i);
  return result + "]";
}

std::vector<const FieldDescriptor*> SetFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);  // in the order of numbers
  return fields;
}

std::string BlockText(const Message& message) {
  std::string result = "{ ";
  for (const FieldDescriptor* field : SetFields(message)) {
    const bool block = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated();
    result += field->name() + (block ? " " : ": ");
    result += (field->is_repeated() ? ListText(message, field) : ValueText(message, field, -1)) + " ";
  }
  return result + "}";
}

void AppendFields(const Message& message, const std::string& indent, std::string* out) {
  const Reflection* reflection = message.GetReflection();
  for (const FieldDescriptor* field : SetFields(message)) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      *out += indent + field->name() + ": ";
      *out += (field->is_repeated() ? ListText(message, field) : ValueText(message, field, -1)) + "\n";
      continue;
    }
    const int blocks = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < blocks; ++i) {
      const Message& child = field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                                  : reflection->GetMessage(message, field);
      *out += indent + field->name() + " {\n";
      AppendFields(child, indent + "  ", out);
      *out += indent + "}\n";
    }
  }
}

}  // namespace

std::string CanonicalMessageText(const Message& message) {
  std::string result;
  AppendFields(message, "", &result);
  return result;
}

std::string CanonicalFieldText(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  if (field->is_repeated()) {
    return reflection->FieldSize(message, field) == 0 ? "(not set)" : ListText(message, field);
  }
  const bool implied = field->has_default_value() && field->containing_oneof() == nullptr;
  if (!reflection->HasField(message, field) && !implied) return "(not set)";
  return ValueText(message, field, -1);
}

std::string ShortestNumber(double value) { return Shortest(value); }

}  // namespace cubist
