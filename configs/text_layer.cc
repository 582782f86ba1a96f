#include "configs/text_layer.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/str_cat.h"
#include "configs/field_path.h"
#include "configs/statement_scanner.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!text.empty()) return;
    this->line = line;
    this->column = column;
    text = message;
  }
  int line = 0;
  int column = 0;
  std::string text;
};

// Walks the outline along the schema; overwrites with spaces what TextFormat must not see.
class Builder {
 public:
  Builder(const std::shared_ptr<const SourceText>& source, const Descriptor* root, Diagnostics* diagnostics)
      : source_(source), root_(root), diagnostics_(diagnostics), text_(source->text) {}

  Layer Build(const Message& prototype, const std::string& path) {
    const Outline outline = ScanStatements(source_, path, diagnostics_);
    layer_.complete = outline.complete;
    for (const Extent& extent : outline.rubbish) Blank(extent);
    // The scanner has reported control characters; TextFormat need not.
    for (char& c : text_) {
      const unsigned char byte = static_cast<unsigned char>(c);
      if (byte < ' ' && c != '\n' && c != '\t' && c != '\r') c = ' ';
    }
    Walk(outline.statements, prototype, path);
    layer_.message.reset(prototype.New());
    FirstError error;
    TextFormat::Parser parser;
    parser.RecordErrorsTo(&error);
    if (outline.complete && !parser.ParseFromString(text_, layer_.message.get())) {
      // Not foreseen above: Protobuf's own words.
      const size_t offset = OffsetOfTokenizerPosition(*source_, error.line, error.column);
      diagnostics_->Add({source_, offset, offset + 1}, error.text);
      layer_.complete = false;
    }
    return std::move(layer_);
  }

 private:
  Place PlaceOf(const Extent& extent) const { return {source_, extent.begin, extent.end}; }
  std::string TextOf(const Extent& extent) const {
    return source_->text.substr(extent.begin, extent.end - extent.begin);
  }
  void Blank(const Extent& extent) {
    for (size_t i = extent.begin; i < extent.end; ++i) {
      if (text_[i] != '\n') text_[i] = ' ';
    }
  }
  void Drop(const Statement& statement, const std::string& path) {
    Blank(statement.whole);
    layer_.failed.insert(path);
  }

  void Walk(const std::vector<Statement>& statements, const Message& prototype, const std::string& message_path) {
    const Descriptor* descriptor = prototype.GetDescriptor();
    std::map<std::string, const Statement*> first_of;  // by field name, and by the name of its oneof
    for (const Statement& statement : statements) {
      const std::string path = JoinPath(message_path, statement.name);
      const FieldDescriptor* field = descriptor->FindFieldByName(statement.name);
      if (field == nullptr) {
        ReportUnknown(statement, descriptor, message_path);
        continue;
      }
      if (!field->is_repeated() && SetBefore(statement, field, path, &first_of)) continue;
      if (statement.broken) {
        if (statement.problem.has_value()) {
          std::vector<std::string> notes = statement.problem->notes;
          notes.push_back(FieldSummary(field, path));
          diagnostics_->Add(statement.problem->place, statement.problem->message, std::move(notes));
        }
        Drop(statement, path);
      } else if (field->message_type() != nullptr && !field->is_repeated()) {
        WalkMessage(statement, field, prototype, path);
      } else {
        CheckValue(statement, field, prototype, path);
      }
    }
  }

  void ReportUnknown(const Statement& statement, const Descriptor* descriptor, const std::string& message_path) {
    std::vector<std::string> names;
    for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
    // Most likely it was meant to set the nearest name, so nobody should be told that that is missing.
    const std::string nearest = NearestWord(statement.name, names);
    if (!nearest.empty()) layer_.failed.insert(JoinPath(message_path, nearest));
    diagnostics_->Add(PlaceOf(statement.name_extent), UnknownFieldMessage(message_path, statement.name),
                      UnknownFieldNotes(root_, descriptor, message_path, statement.name));
    Blank(statement.whole);
  }

  // A field, or a member of one oneof, that this very block has set already.
  bool SetBefore(const Statement& statement, const FieldDescriptor* field, const std::string& path,
                 std::map<std::string, const Statement*>* first_of) {
    const bool alternative = field->containing_oneof() != nullptr;
    const std::string key = alternative ? "oneof " + field->containing_oneof()->name() : field->name();
    const auto [entry, is_first] = first_of->emplace(key, &statement);
    if (is_first) return false;
    const Statement& first = *entry->second;
    const std::string line = std::to_string(LineColumnOf(*source_, first.name_extent.begin).line + 1);
    if (first.name == statement.name) {
      diagnostics_->Add(PlaceOf(statement.name_extent), absl::StrCat(path, " is set a second time"),
                        {absl::StrCat("it was set in line ", line, "; keep one"), FieldSummary(field, path)});
    } else {
      diagnostics_->Add(PlaceOf(statement.name_extent), absl::StrCat(path, " cannot be set together with ", first.name),
                        {absl::StrCat(first.name, " was set in line ", line, "; keep one"), FieldSummary(field, path)});
    }
    Drop(statement, path);
    return true;
  }

  void WalkMessage(const Statement& statement, const FieldDescriptor* field, const Message& prototype,
                   const std::string& path) {
    if (statement.kind != Statement::Kind::kBlock) {
      ReportWrongValue(field, path, TextOf(statement.value), PlaceOf(statement.value), diagnostics_);
      Drop(statement, path);
      return;
    }
    layer_.places[path] = {PlaceOf(statement.whole), PlaceOf(statement.name_extent), {}};
    Walk(statement.children, prototype.GetReflection()->GetMessage(prototype, field), path);
  }

  void CheckValue(const Statement& statement, const FieldDescriptor* field, const Message& prototype,
                  const std::string& path) {
    std::vector<Extent> elements = statement.elements;
    if (statement.kind != Statement::Kind::kList) {
      elements = {statement.value};
    } else if (!field->is_repeated()) {
      ReportWrongValue(field, path, TextOf(statement.value), PlaceOf(statement.value), diagnostics_);
      Drop(statement, path);
      return;
    }
    const std::unique_ptr<Message> scratch(prototype.New());
    bool good = true;
    for (const Extent& element : elements) {
      if (ParseFieldValue(field, TextOf(element), scratch.get())) continue;
      ReportWrongValue(field, path, TextOf(element), PlaceOf(element), diagnostics_);
      good = false;
    }
    if (!good) {
      Drop(statement, path);
      return;
    }
    FieldPlaces& places = layer_.places[path];
    if (places.statement.source == nullptr) {
      places.statement = PlaceOf(statement.whole);
      places.value = PlaceOf(statement.value);
    }
    if (!field->is_repeated()) return;
    for (const Extent& element : elements) places.elements.push_back(PlaceOf(element));
    if (places.elements.empty()) {
      layer_.emptied.insert(path);
    } else {
      layer_.emptied.erase(path);
    }
  }

  std::shared_ptr<const SourceText> source_;
  const Descriptor* root_;
  Diagnostics* diagnostics_;
  std::string text_;
  Layer layer_;
};

bool IsWholeNumber(const std::string& text) {
  const size_t digits = !text.empty() && text[0] == '-' ? 1 : 0;
  return text.size() > digits &&
         std::all_of(text.begin() + digits, text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

Layer ParseTextLayer(const std::shared_ptr<const SourceText>& source, const Message& prototype, const Descriptor* root,
                     const std::string& path, Diagnostics* diagnostics) {
  return Builder(source, root, diagnostics).Build(prototype, path);
}

bool ParseFieldValue(const FieldDescriptor* field, const std::string& value, Message* message) {
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const std::unique_ptr<Message> parsed(message->New());
  if (!parser.ParseFromString(field->name() + ": " + value, parsed.get())) return false;
  message->MergeFrom(*parsed);
  return true;
}

void ReportWrongValue(const FieldDescriptor* field, const std::string& path, const std::string& text,
                      const Place& place, Diagnostics* diagnostics) {
  constexpr size_t kMaximumShown = 60;
  std::string shown = text.size() > kMaximumShown ? text.substr(0, kMaximumShown) + "..." : text;
  std::replace(shown.begin(), shown.end(), '\n', ' ');
  if (shown.empty()) shown = "nothing";
  std::vector<std::string> notes;
  if (field->enum_type() != nullptr) {
    std::vector<std::string> names;
    for (int i = 0; i < field->enum_type()->value_count(); ++i) names.push_back(field->enum_type()->value(i)->name());
    std::string word = text;
    word.erase(std::remove_if(word.begin(), word.end(), [](char c) { return c == '"' || c == '\''; }), word.end());
    const std::string nearest = NearestWord(word, names);
    if (!nearest.empty()) notes.push_back(absl::StrCat("did you mean ", nearest, "?"));
  }
  const auto type = field->cpp_type();
  if (type == FieldDescriptor::CPPTYPE_INT32 && IsWholeNumber(text)) {
    notes.push_back("the number does not fit into 32 bits: at most 2147483647");
  } else if (type == FieldDescriptor::CPPTYPE_INT64 && IsWholeNumber(text)) {
    notes.push_back("the number does not fit into 64 bits: at most 9223372036854775807");
  }
  notes.push_back(FieldSummary(field, path));
  const bool element = field->is_repeated() && (text.empty() || text[0] != '[');
  diagnostics->Add(place,
                   absl::StrCat(path, element ? " takes as an element " : " takes ",
                                element ? AllowedElement(field) : AllowedValues(field), ", not ", shown),
                   std::move(notes));
}

}  // namespace cubist
