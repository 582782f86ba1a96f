#include "configs/field_rules.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldOptions;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

// The number in a field (index -1) or in an element of a list. Whole numbers above 2^53 are rounded, which no
// range of the schema can tell.
bool NumberOf(const Message& message, const FieldDescriptor* field, int index, double* number) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      *number = index < 0 ? reflection->GetInt32(message, field) : reflection->GetRepeatedInt32(message, field, index);
      return true;
    case FieldDescriptor::CPPTYPE_INT64:
      *number = static_cast<double>(index < 0 ? reflection->GetInt64(message, field)
                                              : reflection->GetRepeatedInt64(message, field, index));
      return true;
    case FieldDescriptor::CPPTYPE_UINT32:
      *number =
          index < 0 ? reflection->GetUInt32(message, field) : reflection->GetRepeatedUInt32(message, field, index);
      return true;
    case FieldDescriptor::CPPTYPE_UINT64:
      *number = static_cast<double>(index < 0 ? reflection->GetUInt64(message, field)
                                              : reflection->GetRepeatedUInt64(message, field, index));
      return true;
    case FieldDescriptor::CPPTYPE_FLOAT:
      *number = index < 0 ? reflection->GetFloat(message, field) : reflection->GetRepeatedFloat(message, field, index);
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      *number =
          index < 0 ? reflection->GetDouble(message, field) : reflection->GetRepeatedDouble(message, field, index);
      return true;
    default:
      return false;
  }
}

bool InRange(double number, const FieldOptions& options) {
  // Written so that "not a number" is never in range.
  if (!std::isfinite(number)) return false;
  if (options.HasExtension(cubist::min) && !(number >= options.GetExtension(cubist::min))) return false;
  if (options.HasExtension(cubist::max) && !(number <= options.GetExtension(cubist::max))) return false;
  return !options.HasExtension(cubist::above) || number > options.GetExtension(cubist::above);
}

class Checker {
 public:
  Checker(LayeredConfig* config, Diagnostics* diagnostics) : config_(*config), diagnostics_(diagnostics) {}

  void Check(const Message& message, const std::string& path) {
    const Descriptor* descriptor = message.GetDescriptor();
    const Reflection* reflection = message.GetReflection();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor* field = descriptor->field(i);
      const std::string field_path = JoinPath(path, field->name());
      if (field->is_repeated()) {
        CheckList(message, field, field_path);
      } else if (!reflection->HasField(message, field)) {
        if (field->options().GetExtension(required) && config_.Sound({field_path})) {
          diagnostics_->Add(config_.PlaceOf(path), field_path + " is missing", {FieldSummary(field, field_path)});
        }
      } else if (field->message_type() != nullptr) {
        Check(reflection->GetMessage(message, field), field_path);
      } else {
        CheckNumber(message, field, -1, field_path, config_.PlaceOf(field_path));
      }
    }
  }

 private:
  void CheckNumber(const Message& message, const FieldDescriptor* field, int index, const std::string& path,
                   const Place& place) {
    double number = 0;
    if (!NumberOf(message, field, index, &number) || InRange(number, field->options())) return;
    config_.failed.insert(path);
    diagnostics_->Add(place,
                      absl::StrCat(path, index < 0 ? " takes " : " takes as an element ", AllowedElement(field),
                                   ", not ", ShortestNumber(number)),
                      {FieldSummary(field, path)});
  }

  void CheckList(const Message& message, const FieldDescriptor* field, const std::string& path) {
    const Reflection* reflection = message.GetReflection();
    const int size = reflection->FieldSize(message, field);
    const FieldOptions& options = field->options();
    if (size > 0 && options.HasExtension(length) && size != options.GetExtension(length)) {
      config_.failed.insert(path);
      diagnostics_->Add(config_.PlaceOf(path),
                        absl::StrCat(path, " takes ", options.GetExtension(length), " elements, not ", size),
                        {FieldSummary(field, path)});
    }
    for (int i = 0; i < size; ++i) {
      if (field->message_type() != nullptr) {
        Check(reflection->GetRepeatedMessage(message, field, i), path);
      } else {
        CheckNumber(message, field, i, path, config_.PlaceOfElement(path, i));
      }
    }
  }

  LayeredConfig& config_;
  Diagnostics* diagnostics_;
};

void SetToDefault(Message* message, const FieldDescriptor* field) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, field->default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->SetFloat(message, field, field->default_value_float());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, field->default_value_double());
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, field->default_value_bool());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnum(message, field, field->default_value_enum());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, field->default_value_string());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return;
  }
}

}  // namespace

void CheckFieldRules(LayeredConfig* config, Diagnostics* diagnostics) {
  Checker(config, diagnostics).Check(*config->message, "");
}

void FillDefaults(Message* message) {
  const Descriptor* descriptor = message->GetDescriptor();
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < descriptor->oneof_decl_count(); ++i) {
    const OneofDescriptor* oneof = descriptor->oneof_decl(i);
    for (int j = 0; j < oneof->field_count() && !reflection->HasOneof(*message, oneof); ++j) {
      if (oneof->field(j)->has_default_value()) SetToDefault(message, oneof->field(j));
    }
  }
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->is_repeated()) {
      for (int j = 0; field->message_type() != nullptr && j < reflection->FieldSize(*message, field); ++j) {
        FillDefaults(reflection->MutableRepeatedMessage(message, field, j));
      }
      continue;
    }
    const bool set = reflection->HasField(*message, field);
    const bool alternative = field->containing_oneof() != nullptr;
    if (field->message_type() != nullptr) {
      if (set || (!alternative && !field->options().GetExtension(off_unless_set))) {
        FillDefaults(reflection->MutableMessage(message, field));
      }
    } else if (!set && !alternative && field->has_default_value()) {
      SetToDefault(message, field);
    }
  }
}

}  // namespace cubist
