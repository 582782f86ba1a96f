#include "configs/field_path.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "configs/canonical_text.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FieldOptions;

std::vector<std::string> FieldNames(const Descriptor* message) {
  std::vector<std::string> names;
  for (int i = 0; i < message->field_count(); ++i) names.push_back(message->field(i)->name());
  return names;
}

// Paths of all fields called `name` below `message`.
void FindPaths(const Descriptor* message, const std::string& prefix, const std::string& name,
               std::set<const Descriptor*>* above, std::vector<std::string>* paths) {
  if (!above->insert(message).second) return;
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    const std::string path = JoinPath(prefix, field->name());
    if (field->name() == name) paths->push_back(path);
    if (field->message_type() != nullptr) FindPaths(field->message_type(), path, name, above, paths);
  }
  above->erase(message);
}

std::string RangeText(const FieldOptions& options) {
  const bool low = options.HasExtension(cubist::min);
  const bool high = options.HasExtension(cubist::max);
  const std::string minimum = ShortestNumber(options.GetExtension(cubist::min));
  const std::string maximum = ShortestNumber(options.GetExtension(cubist::max));
  if (options.HasExtension(cubist::above)) {
    return " above " + ShortestNumber(options.GetExtension(cubist::above)) + (high ? ", at most " + maximum : "");
  }
  if (low && high) return " from " + minimum + " to " + maximum;
  if (low) return " of at least " + minimum;
  if (high) return " of at most " + maximum;
  return "";
}

std::string UnitText(const FieldOptions& options) {
  return options.HasExtension(unit) ? " (" + options.GetExtension(unit) + ")" : "";
}

}  // namespace

std::string JoinPath(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "." + name;
}

int EditDistance(const std::string& a, const std::string& b) {
  // Optimal string alignment: rows i-2, i-1 and i of the usual table.
  std::vector<int> two_back, back(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) back[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({back[j] + 1, row[j - 1] + 1, back[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], two_back[j - 2] + 1);
    }
    two_back = back;
    back = row;
  }
  return back[b.size()];
}

std::string NearestWord(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  int best_distance = 0;
  const std::string lower = absl::AsciiStrToLower(word);
  for (const std::string& candidate : candidates) {
    const std::string lower_candidate = absl::AsciiStrToLower(candidate);
    const int distance = EditDistance(lower, lower_candidate);
    // One change in three characters is a slip; more is another word.
    const int limit = std::max<int>(1, static_cast<int>(std::min(word.size(), candidate.size())) / 3);
    if (distance <= limit && (best.empty() || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty()) return best;
  // "learning" for "learning_rate", "seed_value" for "seed": one begins with all of the other.
  for (const std::string& candidate : candidates) {
    const std::string lower_candidate = absl::AsciiStrToLower(candidate);
    const size_t shorter = std::min(lower.size(), lower_candidate.size());
    if (shorter >= 3 && lower.compare(0, shorter, lower_candidate, 0, shorter) == 0) return candidate;
  }
  return "";
}

std::string UnknownFieldMessage(const std::string& message_path, const std::string& name) {
  return absl::StrCat(message_path.empty() ? "the config" : message_path, " has no field \"", name, "\"");
}

std::vector<std::string> UnknownFieldNotes(const Descriptor* root, const Descriptor* message,
                                           const std::string& message_path, const std::string& name) {
  std::vector<std::string> notes;
  const std::vector<std::string> names = FieldNames(message);
  const std::string nearest = NearestWord(name, names);
  std::vector<std::string> elsewhere;
  std::set<const Descriptor*> above;
  FindPaths(root, "", name, &above, &elsewhere);
  if (std::find(elsewhere.begin(), elsewhere.end(), name) != elsewhere.end()) {
    notes.push_back(absl::StrCat(name, " stands at the top of the config, not inside ", message_path));
  } else if (!elsewhere.empty()) {
    notes.push_back(absl::StrCat("did you mean ", absl::StrJoin(elsewhere, " or "), "?"));
  } else if (!nearest.empty()) {
    notes.push_back(absl::StrCat("did you mean ", nearest, "?"));
    notes.push_back(FieldSummary(message->FindFieldByName(nearest), JoinPath(message_path, nearest)));
  }
  notes.push_back(
      absl::StrCat("fields of ", message_path.empty() ? "the config" : message_path, ": ", absl::StrJoin(names, ", ")));
  return notes;
}

ResolvedPath ResolvePath(const Descriptor* root, const std::string& path) {
  ResolvedPath result;
  if (path.empty()) return result;
  const Descriptor* message = root;
  std::string so_far;
  size_t begin = 0;
  while (true) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    const std::string name = path.substr(begin, dot - begin);
    result.begin = begin;
    result.end = dot;
    if (message == nullptr) {
      const FieldDescriptor* last = result.fields.back();
      result.error = absl::StrCat(so_far, last->is_repeated() ? " is a list" : " is a single value",
                                  ": there is nothing below it");
      result.notes.push_back(FieldSummary(last, so_far));
      return result;
    }
    const FieldDescriptor* field = message->FindFieldByName(name);
    if (field == nullptr) {
      if (name.empty()) {
        result.error = absl::StrCat("\"", path, "\" is no field path: a name is missing");
        result.notes.push_back("a path is names joined by dots, such as training.max_steps");
      } else {
        result.error = UnknownFieldMessage(so_far, name);
        result.notes = UnknownFieldNotes(root, message, so_far, name);
      }
      return result;
    }
    result.fields.push_back(field);
    so_far = JoinPath(so_far, name);
    if (dot == path.size()) return result;
    message = field->is_repeated() ? nullptr : field->message_type();
    begin = dot + 1;
  }
}

std::string AllowedElement(const FieldDescriptor* field) {
  const FieldOptions& options = field->options();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number" + RangeText(options) + UnitText(options);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "a number" + RangeText(options) + UnitText(options);
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (int i = 0; i < field->enum_type()->value_count(); ++i) names.push_back(field->enum_type()->value(i)->name());
      return absl::StrCat(names.size() > 1 ? "one of " : "", absl::StrJoin(names, ", "));
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return "text in quotes";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a block { ... }";
  }
  return "";
}

std::string AllowedValues(const FieldDescriptor* field) {
  if (!field->is_repeated()) return AllowedElement(field);
  const FieldOptions& options = field->options();
  const std::string count =
      options.HasExtension(length) ? std::to_string(options.GetExtension(length)) + " elements" : "any length";
  return absl::StrCat("a list [...] of ", count, ", each ", AllowedElement(field));
}

std::string DefaultText(const FieldDescriptor* field) {
  if (!field->has_default_value()) return "";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(field->default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return ShortestNumber(field->default_value_double());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return ShortestNumber(field->default_value_float());
    case FieldDescriptor::CPPTYPE_BOOL:
      return field->default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return field->default_value_enum()->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return "\"" + absl::Utf8SafeCEscape(field->default_value_string()) + "\"";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "";
  }
  return "";
}

std::string FieldSummary(const FieldDescriptor* field, const std::string& path) {
  const std::string default_text = DefaultText(field);
  return absl::StrCat(path, ": ", field->options().GetExtension(doc), " (", AllowedValues(field),
                      default_text.empty() ? "" : ", default " + default_text, ")");
}

OnResume ResumeRule(const std::vector<const FieldDescriptor*>& fields) {
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    if ((*field)->options().HasExtension(on_resume)) return (*field)->options().GetExtension(on_resume);
  }
  return FATAL;
}

}  // namespace cubist
