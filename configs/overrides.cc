#include "configs/overrides.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "configs/field_path.h"
#include "configs/text_layer.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct Piece {
  std::string text;
  size_t begin = 0;  // in the flag's text
};

// Without blanks around it.
Piece Trimmed(Piece piece) {
  size_t begin = 0, end = piece.text.size();
  while (begin < end && std::isspace(static_cast<unsigned char>(piece.text[begin])) != 0) ++begin;
  while (end > begin && std::isspace(static_cast<unsigned char>(piece.text[end - 1])) != 0) --end;
  return {piece.text.substr(begin, end - begin), piece.begin + begin};
}

bool Quoted(const std::string& text) {
  return text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
}

// "[a, b]" and "a, b" alike; commas inside quotes do not separate.
std::vector<Piece> SplitList(const Piece& value) {
  Piece inner = Trimmed(value);
  if (!inner.text.empty() && inner.text.front() == '[' && inner.text.back() == ']') {
    inner = Trimmed({inner.text.substr(1, inner.text.size() - 2), inner.begin + 1});
  }
  std::vector<Piece> pieces;
  if (inner.text.empty()) return pieces;
  size_t start = 0;
  char quote = 0;
  for (size_t i = 0; i <= inner.text.size(); ++i) {
    const char c = i < inner.text.size() ? inner.text[i] : ',';
    if (quote != 0 && i < inner.text.size()) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == ',') {
      pieces.push_back(Trimmed({inner.text.substr(start, i - start), inner.begin + start}));
      start = i + 1;
    }
  }
  return pieces;
}

// As TextFormat wants it; "" for what cannot be one value.
std::string TextFormatValue(const FieldDescriptor* field, const std::string& text, bool literal) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    // Only what one number or name is made of: nothing that begins another field.
    const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '+' || c == '-';
    });
    return plain ? text : "";
  }
  std::string unescaped = text;
  if (!literal && Quoted(text)) {
    const std::string inside = text.substr(1, text.size() - 2);
    if (!absl::CUnescape(inside, &unescaped)) return "";
  }
  return "\"" + absl::CEscape(unescaped) + "\"";
}

class FlagApplier {
 public:
  FlagApplier(const std::string& flag, const std::string& text, LayeredConfig* config, Diagnostics* diagnostics)
      : source_(std::make_shared<SourceText>(SourceText{flag, text, SourceText::Kind::kFlag})),
        config_(config),
        diagnostics_(diagnostics) {}

  Place PlaceAt(size_t begin, size_t end) const { return {source_, begin, std::max(begin + 1, end)}; }
  Place PlaceOf(const Piece& piece) const { return PlaceAt(piece.begin, piece.begin + piece.text.size()); }

  // `path_begin`: where the path stands in the flag's text; npos if it does not.
  void Apply(const std::string& path, size_t path_begin, const Piece& value, bool literal) {
    const bool path_visible = path_begin != std::string::npos;
    const ResolvedPath resolved = ResolvePath(config_->message->GetDescriptor(), path);
    const Place path_place =
        path_visible ? PlaceAt(path_begin + resolved.begin, path_begin + resolved.end) : PlaceOf(value);
    if (path.empty()) {
      diagnostics_->Add(PlaceAt(0, 1), "the path of a field is missing before =");
      return;
    }
    if (!resolved.ok()) {
      diagnostics_->Add(path_place, resolved.error, resolved.notes);
      return;
    }
    const FieldDescriptor* field = resolved.fields.back();
    if (resolved.fields.size() == 1 && (path == "include" || path == "reset")) {
      diagnostics_->Add(path_place, path + " belongs in files, not in flags",
                        {"set the fields themselves, or write a file that includes the other one"});
      return;
    }
    Layer layer;
    layer.message.reset(config_->message->New());
    Message* parent = layer.message.get();
    for (size_t i = 0; i + 1 < resolved.fields.size(); ++i) {
      parent = parent->GetReflection()->MutableMessage(parent, resolved.fields[i]);
    }
    if (field->message_type() != nullptr && !field->is_repeated()) {
      SetBlock(field, path, Trimmed(value), parent, &layer);
    } else {
      SetValue(field, path, value, literal, parent, &layer);
    }
    if (layer.failed.count(path) > 0) {
      config_->failed.insert(path);
    } else {
      ApplyLayer(layer, config_);
    }
  }

 private:
  void SetValue(const FieldDescriptor* field, const std::string& path, const Piece& value, bool literal,
                Message* parent, Layer* layer) {
    const bool text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    std::vector<Piece> elements;
    if (field->is_repeated()) {
      elements = SplitList(value);
    } else {
      elements = {text ? value : Trimmed(value)};
    }
    FieldPlaces places;
    places.statement = PlaceAt(0, source_->text.size());
    places.value = PlaceOf(value);
    for (const Piece& element : elements) {
      const std::string written = TextFormatValue(field, element.text, literal);
      if (written.empty() || !ParseFieldValue(field, written, parent)) {
        ReportWrongValue(field, path, element.text, PlaceOf(element), diagnostics_);
        layer->failed.insert(path);
      }
      if (field->is_repeated()) places.elements.push_back(PlaceOf(element));
    }
    layer->places[path] = std::move(places);
    if (field->is_repeated() && elements.empty()) layer->emptied.insert(path);
  }

  void SetBlock(const FieldDescriptor* field, const std::string& path, const Piece& value, Message* parent,
                Layer* layer) {
    if (value.text.size() < 2 || value.text.front() != '{' || value.text.back() != '}') {
      std::vector<std::string> notes = {absl::StrCat("set one of its fields, as in --set ", path, ".",
                                                     field->message_type()->field(0)->name(), "=..., or several as { ",
                                                     field->message_type()->field(0)->name(), ": ... }")};
      notes.push_back(FieldSummary(field, path));
      diagnostics_->Add(PlaceOf(value),
                        absl::StrCat(path, " takes a block { ... }, not ", value.text.empty() ? "nothing" : value.text),
                        std::move(notes));
      layer->failed.insert(path);
      return;
    }
    // What is before and after the braces becomes blanks, so that columns stay those of the flag. The text
    // is the flag's own otherwise: places keep pointing into it.
    std::string inside = source_->text;
    std::fill(inside.begin(), inside.begin() + static_cast<std::ptrdiff_t>(value.begin) + 1, ' ');
    std::fill(inside.begin() + static_cast<std::ptrdiff_t>(value.begin + value.text.size()) - 1, inside.end(), ' ');
    const auto inner_source = std::make_shared<SourceText>(SourceText{source_->name, inside, SourceText::Kind::kFlag});
    Diagnostics inner_diagnostics;
    Message* target = parent->GetReflection()->MutableMessage(parent, field);
    Layer inner = ParseTextLayer(inner_source, *target, config_->message->GetDescriptor(), path, &inner_diagnostics);
    const auto shown = [&](Place place) {
      if (place.source == inner_source) place.source = source_;
      return place;
    };
    for (const Diagnostic& diagnostic : inner_diagnostics.all()) {
      diagnostics_->Add(shown(diagnostic.place), diagnostic.message, diagnostic.notes);
    }
    target->MergeFrom(*inner.message);
    layer->places[path] = {PlaceAt(0, source_->text.size()), PlaceOf(value), {}};
    for (auto& [inner_path, places] : inner.places) {
      places.statement = shown(places.statement);
      places.value = shown(places.value);
      for (Place& place : places.elements) place = shown(place);
      layer->places[inner_path] = std::move(places);
    }
    layer->emptied = std::move(inner.emptied);
    layer->failed = std::move(inner.failed);
    layer->complete = inner.complete;
  }

  std::shared_ptr<const SourceText> source_;
  LayeredConfig* config_;
  Diagnostics* diagnostics_;
};

}  // namespace

void ApplySetFlag(const std::string& assignment, LayeredConfig* config, Diagnostics* diagnostics) {
  FlagApplier applier("--set", assignment, config, diagnostics);
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) {
    diagnostics->Add(applier.PlaceAt(0, assignment.size()), "--set takes path.to.field=value",
                     {"for example --set training.max_steps=100"});
    return;
  }
  const Piece path = Trimmed({assignment.substr(0, equals), 0});
  applier.Apply(path.text, path.begin, {assignment.substr(equals + 1), equals + 1}, /*literal=*/false);
}

void ApplyFieldFlag(const std::string& flag, const std::string& path, const std::string& value, LayeredConfig* config,
                    Diagnostics* diagnostics) {
  FlagApplier(flag, value, config, diagnostics).Apply(path, std::string::npos, {value, 0}, /*literal=*/true);
}

}  // namespace cubist
