#include "configs/explain.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const char* ResumeText(OnResume rule) {
  switch (rule) {
    case FATAL:
      return "FATAL: a run is not resumed with another value than it started with";
    case WARN:
      return "WARN: a run may be resumed with another value, and says so";
    case FREE:
      return "FREE: may change between one start of a run and the next";
  }
  return "";
}

std::string TypeText(const FieldDescriptor* field) {
  const std::string element = field->enum_type() != nullptr      ? field->enum_type()->name()
                              : field->message_type() != nullptr ? field->message_type()->name()
                                                                 : field->cpp_type_name();
  return field->is_repeated() ? "list of " + element : element;
}

std::string Padded(const std::string& text, size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

bool IsBlock(const FieldDescriptor* field) { return field->message_type() != nullptr && !field->is_repeated(); }

// Columns: name, value (default without an experiment), what it takes and what it is for.
std::string Table(const Descriptor* descriptor, const Message* message) {
  struct Row {
    std::string name, value, text;
  };
  std::vector<Row> rows = {{"field", message != nullptr ? "value" : "default", ""}};
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    std::string value;
    if (!IsBlock(field)) {
      value = message != nullptr ? CanonicalFieldText(*message, field) : DefaultText(field);
    } else if (message != nullptr && !message->GetReflection()->HasField(*message, field)) {
      value = "(not set)";
    }
    constexpr size_t kWidest = 40;
    if (value.size() > kWidest) value = value.substr(0, kWidest - 3) + "...";
    const std::string allowed = IsBlock(field) ? "" : " (" + AllowedValues(field) + ")";
    rows.push_back(
        {field->name() + (IsBlock(field) ? " {}" : ""), value, field->options().GetExtension(doc) + allowed});
  }
  size_t name_width = 0, value_width = 0;
  for (const Row& row : rows) {
    name_width = std::max(name_width, row.name.size());
    value_width = std::max(value_width, row.value.size());
  }
  std::string result;
  for (const Row& row : rows) {
    std::string line =
        absl::StrCat("  ", Padded(row.name, name_width), "  ", Padded(row.value, value_width), "  ", row.text);
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + "\n";
  }
  return result;
}

}  // namespace

absl::StatusOr<std::string> Explain(const ValidatedExperiment* experiment, std::string_view path) {
  const std::string path_text(path);
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path_text);
  if (!resolved.ok()) {
    std::string message = absl::StrCat("--explain ", path_text, ": ", resolved.error);
    for (const std::string& note : resolved.notes) message += "\n  " + note;
    return ConfigError(message);
  }
  if (resolved.fields.empty()) {
    const Message* message = experiment != nullptr ? &experiment->proto() : nullptr;
    return "Everything that one training run is told.\n\n" + Table(Experiment::descriptor(), message);
  }
  // The message that holds the field, or null: no experiment, or not set in it.
  const Message* holder = experiment != nullptr ? &experiment->proto() : nullptr;
  for (size_t i = 0; i + 1 < resolved.fields.size() && holder != nullptr; ++i) {
    const bool has = holder->GetReflection()->HasField(*holder, resolved.fields[i]);
    holder = has ? &holder->GetReflection()->GetMessage(*holder, resolved.fields[i]) : nullptr;
  }
  const FieldDescriptor* field = resolved.fields.back();
  std::string result = absl::StrCat(path_text, "\n  ", field->options().GetExtension(doc), "\n\n");
  std::vector<std::pair<std::string, std::string>> facts = {{"type", TypeText(field)}};
  if (field->options().HasExtension(unit)) facts.push_back({"unit", field->options().GetExtension(unit)});
  if (!IsBlock(field)) {
    facts.push_back({"takes", AllowedValues(field)});
    const std::string default_text = DefaultText(field);
    facts.push_back({"default", default_text.empty() ? "none" : default_text});
  }
  if (const auto* oneof = field->containing_oneof(); oneof != nullptr && oneof->field_count() > 1) {
    std::string others;
    for (int i = 0; i < oneof->field_count(); ++i) {
      if (oneof->field(i) != field) others += (others.empty() ? "" : ", ") + oneof->field(i)->name();
    }
    facts.push_back({"instead of", others});
  }
  if (experiment != nullptr) {
    if (!IsBlock(field)) {
      facts.push_back({"value", holder != nullptr ? CanonicalFieldText(*holder, field) : "(not set)"});
    }
    facts.push_back({"set by", experiment->OriginOf(path_text)});
  }
  std::string keys;
  for (int i = 0; i < field->options().ExtensionSize(reference_key); ++i) {
    keys += (keys.empty() ? "" : ", ") + field->options().GetExtension(reference_key, i);
  }
  if (!keys.empty()) facts.push_back({"reference", "in the reference: " + keys});
  facts.push_back({"on resume", ResumeText(ResumeRule(resolved.fields))});
  for (const auto& [name, text] : facts) result += absl::StrCat("  ", Padded(name, 10), "  ", text, "\n");
  if (IsBlock(field)) {
    const bool has = holder != nullptr && holder->GetReflection()->HasField(*holder, field);
    const Message* message = has ? &holder->GetReflection()->GetMessage(*holder, field) : nullptr;
    result += "\n" + Table(field->message_type(), message);
  }
  return result;
}

}  // namespace cubist
