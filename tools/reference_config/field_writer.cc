#include "tools/reference_config/field_writer.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"
#include "configs/reference_keys.h"

namespace cubist {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = YamlValue::Kind;

absl::StatusOr<bool> WriteElement(const std::string& key, const YamlValue& value, const FieldDescriptor* field,
                                  Message* message) {
  const Reflection& reflection = *message->GetReflection();
  const bool list = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64: {
      const bool is_32 = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32;
      if (!value.is(Kind::kInteger)) return WrongType(key, value, "a whole number");
      if (is_32 && (value.integer > std::numeric_limits<int32_t>::max() ||
                    value.integer < std::numeric_limits<int32_t>::min())) {
        return WrongType(key, value, "a whole number of 32 bits");
      }
      const auto small = static_cast<int32_t>(value.integer);
      if (is_32) {
        list ? reflection.AddInt32(message, field, small) : reflection.SetInt32(message, field, small);
      } else {
        list ? reflection.AddInt64(message, field, value.integer) : reflection.SetInt64(message, field, value.integer);
      }
      return true;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!value.is(Kind::kInteger) && !value.is(Kind::kFloat)) return WrongType(key, value, "a number");
      list ? reflection.AddDouble(message, field, value.number) : reflection.SetDouble(message, field, value.number);
      return true;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!value.is(Kind::kBool)) return WrongType(key, value, "true or false");
      list ? reflection.AddBool(message, field, value.boolean) : reflection.SetBool(message, field, value.boolean);
      return true;
    case FieldDescriptor::CPPTYPE_STRING:
      if (!value.is(Kind::kText)) return WrongType(key, value, "text");
      list ? reflection.AddString(message, field, value.text) : reflection.SetString(message, field, value.text);
      return true;
    case FieldDescriptor::CPPTYPE_ENUM: {
      if (!value.is(Kind::kText) && !value.is(Kind::kInteger)) return WrongType(key, value, "a word");
      for (int i = 0; i < field->enum_type()->value_count(); ++i) {
        const EnumValueDescriptor* candidate = field->enum_type()->value(i);
        const bool same =
            value.is(Kind::kText) ? ReferenceValue(*candidate) == value.text : candidate->number() == value.integer;
        if (!same) continue;
        list ? reflection.AddEnum(message, field, candidate) : reflection.SetEnum(message, field, candidate);
        return true;
      }
      return false;
    }
    default:
      return InternalError(absl::StrCat("field ", field->full_name(), " has a reference_key and no conversion"));
  }
}

}  // namespace

absl::Status WrongType(const std::string& key, const YamlValue& value, std::string_view wanted) {
  return YamlError(value.place, absl::StrCat(key, " takes ", absl::string_view(wanted.data(), wanted.size()), ", not ",
                                             JsonText(value)));
}

absl::StatusOr<bool> WriteField(const std::string& path, const std::string& key, const YamlValue& value,
                                Experiment* target) {
  Message* message = target;
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, resolved.fields[i]);
  }
  const FieldDescriptor* field = resolved.fields.back();
  if (!field->is_repeated()) return WriteElement(key, value, field, message);
  if (!value.is(Kind::kList)) return WrongType(key, value, "a list");
  message->GetReflection()->ClearField(message, field);
  for (const YamlValue& element : value.elements) {
    ASSIGN_OR_RETURN(const bool written, WriteElement(key, element, field, message));
    if (!written) return false;
  }
  return true;
}

std::string FieldText(const Experiment& experiment, const std::string& path) {
  const Message* message = &experiment;
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path);
  for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
    message = &message->GetReflection()->GetMessage(*message, resolved.fields[i]);
  }
  return CanonicalFieldText(*message, resolved.fields.back());
}

void ClearDefaults(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) continue;
    if (field->message_type() != nullptr) {
      Message* child = reflection.MutableMessage(message, field);
      ClearDefaults(child);
      if (child->ByteSizeLong() == 0 && field->containing_oneof() == nullptr) reflection.ClearField(message, field);
    } else if (field->has_default_value() && CanonicalFieldText(*message, field) == DefaultText(field)) {
      reflection.ClearField(message, field);
    }
  }
}

}  // namespace cubist
