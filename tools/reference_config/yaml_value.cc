#include "tools/reference_config/yaml_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/source_text.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace cubist {
namespace {

using Kind = YamlValue::Kind;

std::string WithoutUnderscores(const std::string& text) { return absl::StrReplaceAll(text, {{"_", ""}}); }

// Longer plain scalars are no numbers that anyone writes, and std::regex recurses with the length of its input.
constexpr size_t kLongestNumber = 128;

const std::regex& BoolPattern() {
  static const auto* const pattern =
      new std::regex("yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF");
  return *pattern;
}
// PyYAML's, then the one that OmegaConf adds: an exponent needs no dot and no sign.
const std::regex& FloatPattern() {
  static const auto* const pattern = new std::regex(
      "[-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+]?[0-9]+)?|\\.[0-9][0-9_]*([eE][-+][0-9]+)?|\\.[0-9_]+([eE][-+][0-9]+)?|"
      "[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)");
  return *pattern;
}
const std::regex& SexagesimalFloatPattern() {
  static const auto* const pattern = new std::regex("[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*");
  return *pattern;
}
const std::regex& IntegerPattern() {
  static const auto* const pattern = new std::regex(
      "[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+");
  return *pattern;
}

// 12:30 is 12 * 60 + 30.
double Sexagesimal(const std::string& digits) {
  double value = 0;
  for (const absl::string_view part : absl::StrSplit(digits, ':')) {
    double number = 0;
    if (!absl::SimpleAtod(part, &number)) return std::nan("");
    value = value * 60 + number;
  }
  return value;
}

double FloatOf(const std::string& text) {
  std::string digits = absl::AsciiStrToLower(WithoutUnderscores(text));
  double sign = 1;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    if (digits[0] == '-') sign = -1;
    digits.erase(0, 1);
  }
  if (digits == ".inf") return sign * std::numeric_limits<double>::infinity();
  if (digits == ".nan") return std::nan("");
  if (absl::StrContains(digits, ":")) return sign * Sexagesimal(digits);
  double value = 0;
  return absl::SimpleAtod(digits, &value) ? sign * value : std::nan("");
}

std::optional<int64_t> IntegerOf(const std::string& text) {
  std::string digits = WithoutUnderscores(text);
  bool negative = false;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    negative = digits[0] == '-';
    digits.erase(0, 1);
  }
  if (digits == "0") return 0;
  if (absl::StrContains(digits, ":")) {
    const double value = Sexagesimal(digits);
    if (!(value < 9e15)) return std::nullopt;
    return static_cast<int64_t>(negative ? -value : value);
  }
  int base = 10;
  if (absl::StartsWith(digits, "0b")) {
    base = 2;
    digits.erase(0, 2);
  } else if (absl::StartsWith(digits, "0x")) {
    base = 16;
    digits.erase(0, 2);
  } else if (digits[0] == '0') {
    base = 8;
  }
  digits.insert(0, negative ? "-" : "");
  int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// What yaml-cpp finds wrong, in the words of somebody who writes configs.
std::string_view SyntaxMessage(const std::string& found) {
  namespace from = YAML::ErrorMsg;
  static constexpr char kDirective[] = "a %YAML or %TAG line that is malformed; a config needs none";
  static constexpr char kTag[] = "a tag (!...) that is malformed; text that begins with ! needs quotes";
  static constexpr char kOneOfEach[] =
      "a value has at most one &name, one *name and one tag, and with *name nothing else";
  static constexpr char kName[] = "expected a name right behind & or *; text that begins with & or * needs quotes";
  static constexpr char kBlock[] = "behind | or > comes a digit from 1 to 9, + or -, or the end of the line";
  static constexpr std::pair<const char*, const char*> kMessages[] = {
      {from::END_OF_MAP, "expected the next key, in line with the keys above; perhaps a quote is missing before"},
      {from::END_OF_MAP_FLOW, "expected , or } because a { is still open"},
      {from::END_OF_SEQ, "expected the next element, its - in line with those above"},
      {from::END_OF_SEQ_FLOW, "expected , or ] because a [ is still open"},
      {from::FLOW_END, "this bracket closes nothing, or a bracket of the other kind is still open"},
      {from::MAP_KEY, "no key may stand here; keys of one mapping are indented alike"},
      {from::MAP_VALUE,
       "no \"key: value\" may stand here; keys of one mapping are indented alike, by spaces, and text with \": \" in "
       "it "
       "needs quotes"},
      {from::BLOCK_ENTRY, "no element of a list may stand here; elements are indented alike"},
      {from::TAB_IN_INDENTATION, "indented by a tab; YAML takes spaces only"},
      {from::UNKNOWN_TOKEN, "no value begins with this character; text that does needs quotes"},
      {from::UNKNOWN_ANCHOR, "no &name before this *name; text that begins with * needs quotes"},
      {from::ALIAS_NOT_FOUND, kName},
      {from::ANCHOR_NOT_FOUND, kName},
      {from::CHAR_IN_ALIAS, kName},
      {from::CHAR_IN_ANCHOR, kName},
      {from::MULTIPLE_TAGS, kOneOfEach},
      {from::MULTIPLE_ANCHORS, kOneOfEach},
      {from::MULTIPLE_ALIASES, kOneOfEach},
      {from::ALIAS_CONTENT, kOneOfEach},
      {from::INVALID_ESCAPE, "no such escape; a backslash in double quotes is \\\\, in single quotes just \\"},
      {from::INVALID_HEX, "expected a hexadecimal digit of the \\x, \\u or \\U before"},
      {from::INVALID_UNICODE, "there is no such character of Unicode"},
      {from::DOC_IN_SCALAR, "a line --- or ... inside text in quotes; the closing quote may be missing"},
      {from::EOF_IN_SCALAR, "the closing quote is missing"},
      {from::CHAR_IN_BLOCK, kBlock},
      {from::ZERO_INDENT_IN_BLOCK, kBlock},
      {from::TAG_WITH_NO_SUFFIX, kTag},
      {from::END_OF_VERBATIM_TAG, kTag},
      {from::CHAR_IN_TAG_HANDLE, kTag},
      {from::YAML_DIRECTIVE_ARGS, kDirective},
      {from::YAML_VERSION, kDirective},
      {from::YAML_MAJOR_VERSION, kDirective},
      {from::REPEATED_YAML_DIRECTIVE, kDirective},
      {from::TAG_DIRECTIVE_ARGS, kDirective},
      {from::REPEATED_TAG_DIRECTIVE, kDirective},
      {from::BAD_FILE, "nested too deep"},  // the only reason that the parser gives it for
  };
  for (const auto& [prefix, message] : kMessages) {
    if (absl::StartsWith(found, prefix)) return message;
  }
  return "cannot be read as YAML";
}

// Whether the quote at `begin` has its counterpart. yaml-cpp takes all that is left of a file for the text.
bool QuoteIsClosed(const std::string& text, size_t begin) {
  const char quote = text[begin];
  for (size_t i = begin + 1; i < text.size(); ++i) {
    const bool doubled = quote == '\'' && text.compare(i, 2, "''") == 0;
    if (doubled || (quote == '"' && text[i] == '\\')) {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

class IgnoreEvents : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { document_start = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark document_start;  // of the last document
};

// Where a second document begins. Not by YAML::LoadAll, which goes on for ever at a bracket that closes nothing.
std::optional<YAML::Mark> SecondDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  IgnoreEvents ignore;
  if (!parser.HandleNextDocument(ignore) || !parser.HandleNextDocument(ignore)) return std::nullopt;
  return ignore.document_start;
}

class Converter {
 public:
  // Values of `text` have the lines and columns where they stand, or, without `with_lines`, all the place `whole`.
  Converter(const std::string& text, const YamlPlace& whole, bool with_lines, const YamlLimits& limits)
      : text_(text), whole_(whole), with_lines_(with_lines), limits_(limits) {}

  YamlPlace PlaceOf(const YAML::Mark& mark, const YamlPlace& fallback) const {
    if (!with_lines_) return whole_;
    return mark.is_null() ? fallback : YamlPlace{whole_.file, mark.line + 1, mark.column + 1};
  }

  absl::StatusOr<YamlValue> Convert(const YAML::Node& node, const YamlPlace& fallback, int depth) {
    const YamlPlace place = PlaceOf(node.Mark(), fallback);
    if (depth > limits_.max_depth) {
      return YamlError(place, absl::StrCat("nested more than ", limits_.max_depth, " deep"));
    }
    if (++nodes_ > limits_.max_nodes) {
      return YamlError(place, absl::StrCat("more than ", limits_.max_nodes,
                                           " values, with what aliases stand for counted wherever they stand"));
    }
    YamlValue value;
    value.place = place;
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return value;
      case YAML::NodeType::Scalar:
        RETURN_IF_ERROR(ConvertScalar(node, &value));
        return value;
      case YAML::NodeType::Sequence:
        RETURN_IF_ERROR(CheckTag(node, "tag:yaml.org,2002:seq", place));
        value.kind = Kind::kList;
        for (const YAML::Node& element : node) {
          ASSIGN_OR_RETURN(YamlValue converted, Convert(element, place, depth + 1));
          value.elements.push_back(std::move(converted));
        }
        return value;
      case YAML::NodeType::Map:
        RETURN_IF_ERROR(CheckTag(node, "tag:yaml.org,2002:map", place));
        RETURN_IF_ERROR(ConvertMap(node, depth, &value));
        return value;
    }
    return value;
  }

 private:
  static absl::Status CheckTag(const YAML::Node& node, std::string_view allowed, const YamlPlace& place) {
    const std::string& tag = node.Tag();
    if (tag.empty() || tag == "?" || tag == "!" || tag == allowed) return absl::OkStatus();
    return YamlError(place, absl::StrCat("tag ", tag, " is not supported"));
  }

  absl::Status ConvertMap(const YAML::Node& node, int depth, YamlValue* value) {
    value->kind = Kind::kMap;
    std::vector<YamlValue> merged;  // what << names, the later ones weaker
    std::set<std::string> seen;
    for (const auto& pair : node) {
      const YamlPlace place = PlaceOf(pair.first.Mark(), value->place);
      if (!pair.first.IsScalar()) return YamlError(place, "a key must be a word or a number");
      const std::string& key = pair.first.Scalar();
      if (!seen.insert(key).second) return YamlError(place, absl::StrCat("key \"", key, "\" stands here twice"));
      ASSIGN_OR_RETURN(YamlValue converted, Convert(pair.second, place, depth + 1));
      if (key == "<<" && pair.first.Tag() == "?") {
        if (converted.is(Kind::kMap)) converted.elements = {YamlValue(converted)};
        for (YamlValue& element : converted.elements) {
          if (!element.is(Kind::kMap)) return YamlError(place, "<< takes a mapping or a list of mappings");
          merged.push_back(std::move(element));
        }
        if (converted.elements.empty() && !converted.is(Kind::kList)) {
          return YamlError(place, "<< takes a mapping or a list of mappings");
        }
        continue;
      }
      value->entries.emplace_back(key, std::move(converted));
    }
    // As PyYAML does: what is merged comes first, the first of several mappings wins, and what stands here wins over
    // all.
    if (merged.empty()) return absl::OkStatus();
    YamlValue whole;
    for (auto source = merged.rbegin(); source != merged.rend(); ++source) {
      for (YamlValue::Entry& entry : source->entries) whole.Set(entry.first, std::move(entry.second));
    }
    for (YamlValue::Entry& entry : value->entries) whole.Set(entry.first, std::move(entry.second));
    value->entries = std::move(whole.entries);
    return absl::OkStatus();
  }

  absl::Status ConvertScalar(const YAML::Node& node, YamlValue* value) {
    const std::string& text = node.Scalar();
    const std::string& tag = node.Tag();
    constexpr char kYaml[] = "tag:yaml.org,2002:";
    value->kind = Kind::kText;
    value->text = text;
    const auto begin = static_cast<size_t>(node.Mark().pos);
    if (tag == "!" && begin < text_.size() && (text_[begin] == '"' || text_[begin] == '\'') &&
        !QuoteIsClosed(text_, begin)) {
      return YamlError(value->place, "the closing quote is missing");
    }
    if (tag == "!" || tag == absl::StrCat(kYaml, "str")) return absl::OkStatus();  // quoted
    if (tag == absl::StrCat(kYaml, "null")) {
      *value = YamlValue{};
      return absl::OkStatus();
    }
    const bool plain = tag == "?" || tag.empty();
    const bool short_enough = text.size() <= kLongestNumber;
    if ((plain && std::regex_match(text.substr(0, 8), BoolPattern())) || tag == absl::StrCat(kYaml, "bool")) {
      const std::string lower = absl::AsciiStrToLower(text);
      if (!std::regex_match(lower.substr(0, 8), BoolPattern())) return NoSuch(tag, *value);
      value->kind = Kind::kBool;
      value->boolean = lower == "yes" || lower == "true" || lower == "on";
      return absl::OkStatus();
    }
    if (short_enough && (plain || tag == absl::StrCat(kYaml, "float")) &&
        (std::regex_match(text, FloatPattern()) || std::regex_match(text, SexagesimalFloatPattern()))) {
      value->kind = Kind::kFloat;
      value->number = FloatOf(text);
      return absl::OkStatus();
    }
    if (short_enough && (plain || tag == absl::StrCat(kYaml, "int") || tag == absl::StrCat(kYaml, "float")) &&
        std::regex_match(text, IntegerPattern())) {
      const std::optional<int64_t> integer = IntegerOf(text);
      if (!integer.has_value()) return YamlError(value->place, absl::StrCat(text, " is no number of 64 bits"));
      value->kind = tag == absl::StrCat(kYaml, "float") ? Kind::kFloat : Kind::kInteger;
      value->integer = *integer;
      value->number = static_cast<double>(*integer);
      return absl::OkStatus();
    }
    if (plain && (text == "~" || text == "null" || text == "Null" || text == "NULL" || text.empty())) {
      value->kind = Kind::kNull;
      value->text.clear();
      return absl::OkStatus();
    }
    return plain ? absl::OkStatus() : NoSuch(tag, *value);
  }

  static absl::Status NoSuch(const std::string& tag, const YamlValue& value) {
    return YamlError(value.place, absl::StrCat("\"", value.text, "\" has the tag ", tag, ", which it cannot be"));
  }

  const std::string& text_;
  const YamlPlace whole_;
  const bool with_lines_;
  const YamlLimits limits_;
  int64_t nodes_ = 0;
};

absl::StatusOr<YamlValue> Parse(std::string_view bytes, const YamlPlace& whole, bool with_lines,
                                const YamlLimits& limits) {
  if (bytes.size() > static_cast<size_t>(limits.max_bytes)) {
    return YamlError(whole, absl::StrCat("has ", bytes.size(), " bytes, more than ", limits.max_bytes));
  }
  // A byte order mark would not count in yaml-cpp's positions.
  const std::string text(absl::StripPrefix(absl::string_view(bytes.data(), bytes.size()), "\xef\xbb\xbf"));
  Converter converter(text, whole, with_lines, limits);
  try {
    if (const std::optional<YAML::Mark> second = SecondDocument(text)) {
      return YamlError(converter.PlaceOf(*second, whole), "more than one document, or something behind the end of one");
    }
    return converter.Convert(YAML::Load(text), {whole.file, 1, 1}, 0);
  } catch (const YAML::Exception& error) {
    return YamlError(converter.PlaceOf(error.mark, whole), SyntaxMessage(error.msg));
  }
}

}  // namespace

std::string PlaceText(const YamlPlace& place) {
  const std::string file = place.file == nullptr ? "" : *place.file;
  return place.line > 0 ? absl::StrCat(file, ":", place.line, ":", place.column) : file;
}

absl::Status YamlError(const YamlPlace& place, std::string_view message) {
  return ConfigError(absl::StrCat(PlaceText(place), ": ", absl::string_view(message.data(), message.size())));
}

const YamlValue* YamlValue::Find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.first == key) return &entry.second;
  }
  return nullptr;
}

YamlValue* YamlValue::Find(std::string_view key) {
  return const_cast<YamlValue*>(static_cast<const YamlValue*>(this)->Find(key));
}

void YamlValue::Set(const std::string& key, YamlValue value) {
  if (YamlValue* existing = Find(key)) {
    *existing = std::move(value);
  } else {
    entries.emplace_back(key, std::move(value));
  }
}

void YamlValue::Remove(std::string_view key) {
  entries.erase(std::remove_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.first == key; }),
                entries.end());
}

absl::StatusOr<YamlValue> ParseYaml(std::string_view bytes, const std::string& name, const YamlLimits& limits) {
  if (const std::string message = NoTextMessage(name, bytes); !message.empty()) return ConfigError(message);
  return Parse(bytes, {std::make_shared<const std::string>(name)}, true, limits);
}

absl::StatusOr<YamlValue> ParseYamlAt(std::string_view text, const YamlPlace& place, const YamlLimits& limits) {
  return Parse(text, place, false, limits);
}

std::string PythonText(const YamlValue& value) {
  switch (value.kind) {
    case Kind::kNull:
      return "None";
    case Kind::kBool:
      return value.boolean ? "True" : "False";
    case Kind::kInteger:
      return std::to_string(value.integer);
    case Kind::kFloat: {
      if (!std::isfinite(value.number)) return std::isnan(value.number) ? "nan" : value.number > 0 ? "inf" : "-inf";
      const double magnitude = std::abs(value.number);
      const bool fixed = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
      char buffer[64];
      const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value.number,
                                        fixed ? std::chars_format::fixed : std::chars_format::scientific);
      std::string text(buffer, result.ptr);
      if (fixed && !absl::StrContains(text, ".")) text += ".0";
      return text;
    }
    case Kind::kText:
      return value.text;
    case Kind::kMap:
    case Kind::kList:
      break;
  }
  return JsonText(value);
}

std::string JsonText(const YamlValue& value) {
  std::string text;
  switch (value.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.boolean ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(value.integer);
    case Kind::kFloat:
      return ShortestNumber(value.number);
    case Kind::kText:
      for (const char c : value.text) {
        if (c == '"' || c == '\\') text += '\\';
        if (c == '\n') {
          text += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20) {
          text += "?";
        } else {
          text += c;
        }
      }
      return "\"" + text + "\"";
    case Kind::kMap:
      for (const YamlValue::Entry& entry : value.entries) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", "\"", entry.first, "\": ", JsonText(entry.second));
      }
      return "{" + text + "}";
    case Kind::kList:
      for (const YamlValue& element : value.elements) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", JsonText(element));
      }
      return "[" + text + "]";
  }
  return text;
}

}  // namespace cubist
