#include "tools/reference_config/interpolation.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace cubist {
namespace {

using Kind = YamlValue::Kind;
using Path = std::vector<std::string>;

class Resolver {
 public:
  Resolver(const YamlValue& root, const YamlLimits& limits) : root_(root), limits_(limits) {}

  // The value at `path`, which is `value`, with all that it stands for.
  absl::StatusOr<YamlValue> Resolve(const Path& path, const YamlValue& value) {
    if (++nodes_ > limits_.max_nodes) {
      return YamlError(value.place, absl::StrCat("interpolations stand for more than ", limits_.max_nodes, " values"));
    }
    YamlValue result = value;
    if (value.is(Kind::kMap)) {
      for (YamlValue::Entry& entry : result.entries) {
        ASSIGN_OR_RETURN(entry.second, Resolve(Below(path, entry.first), entry.second));
      }
    } else if (value.is(Kind::kList)) {
      for (size_t i = 0; i < result.elements.size(); ++i) {
        ASSIGN_OR_RETURN(result.elements[i], Resolve(Below(path, std::to_string(i)), result.elements[i]));
      }
    } else if (IsInterpolation(value)) {
      ASSIGN_OR_RETURN(const std::optional<Found> found, Target(path, value));
      if (found.has_value()) {
        RETURN_IF_ERROR(Enter(path, value));
        ASSIGN_OR_RETURN(result, Resolve(found->path, *found->value));
        Leave(path);
        return result;
      }
      RETURN_IF_ERROR(Enter(path, value));
      ASSIGN_OR_RETURN(result.text, Text(path, value));
      Leave(path);
    }
    return result;
  }

  struct Found {
    Path path;
    const YamlValue* value;
  };

  // Where an interpolation that is all of the text leads, through others; nothing if it is part of a text.
  absl::StatusOr<std::optional<Found>> Target(const Path& path, const YamlValue& value) {
    size_t end = 0;
    if (!absl::StartsWith(value.text, "${") || !FindEnd(value.text, 0, &end) || end != value.text.size()) {
      return std::optional<Found>();
    }
    RETURN_IF_ERROR(Enter(path, value));
    ASSIGN_OR_RETURN(Found found, Lookup(path, value, value.text.substr(2, end - 3)));
    Leave(path);
    return std::optional<Found>(std::move(found));
  }

 private:
  static Path Below(const Path& path, const std::string& key) {
    Path below = path;
    below.push_back(key);
    return below;
  }

  absl::Status Enter(const Path& path, const YamlValue& value) {
    if (!active_.insert(absl::StrJoin(path, ".")).second) {
      return YamlError(value.place, absl::StrCat(value.text, " stands for itself"));
    }
    if (active_.size() > static_cast<size_t>(limits_.max_depth)) {
      return YamlError(value.place, absl::StrCat("interpolations lead to more than ", limits_.max_depth, " others"));
    }
    return absl::OkStatus();
  }
  void Leave(const Path& path) { active_.erase(absl::StrJoin(path, ".")); }

  // The end, behind its }, of the interpolation that begins at `begin`.
  static bool FindEnd(const std::string& text, size_t begin, size_t* end) {
    int open = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      if (text.compare(i, 2, "${") == 0) {
        ++open;
        ++i;
      } else if (text[i] == '}' && --open == 0) {
        *end = i + 1;
        return true;
      }
    }
    return false;
  }

  // The text of a value that has interpolations inside.
  absl::StatusOr<std::string> Text(const Path& path, const YamlValue& value) {
    const std::string& text = value.text;
    std::string result;
    for (size_t i = 0; i < text.size();) {
      // Backslashes before ${ come in pairs; one that is left over makes it text.
      size_t slashes = 0;
      while (i + slashes < text.size() && text[i + slashes] == '\\') ++slashes;
      const size_t at = i + slashes;
      if (text.compare(at, 2, "${") != 0) {
        result.append(text, i, slashes + 1);
        i = at + 1;
        continue;
      }
      result.append(slashes / 2, '\\');
      if (slashes % 2 == 1) {
        result += "${";
        i = at + 2;
        continue;
      }
      size_t end = 0;
      if (!FindEnd(text, at, &end)) return YamlError(value.place, absl::StrCat("\"", text, "\": ${ without }"));
      ASSIGN_OR_RETURN(const Found found, Lookup(path, value, text.substr(at + 2, end - at - 3)));
      ASSIGN_OR_RETURN(const YamlValue inner, Resolve(found.path, *found.value));
      if (inner.is(Kind::kMap) || inner.is(Kind::kList)) {
        return YamlError(value.place, absl::StrCat("\"", text, "\" has a map or a list inside a text"));
      }
      result += PythonText(inner);
      if (result.size() > static_cast<size_t>(limits_.max_bytes) ||
          (bytes_ += static_cast<int64_t>(result.size())) > 16 * limits_.max_bytes) {
        return YamlError(value.place, "interpolations make too long a text");
      }
      i = end;
    }
    return result;
  }

  // What `expression`, the inside of ${}, leads to.
  absl::StatusOr<Found> Lookup(const Path& path, const YamlValue& value, std::string expression) {
    if (absl::StrContains(expression, "${")) {
      YamlValue inner = value;
      inner.text = expression;
      ASSIGN_OR_RETURN(expression, Text(path, inner));
    }
    expression = std::string(absl::StripAsciiWhitespace(expression));
    if (absl::StrContains(expression, ":")) {
      return YamlError(value.place, absl::StrCat("${", expression, "}: resolvers are not supported"));
    }
    size_t dots = 0;
    while (dots < expression.size() && expression[dots] == '.') ++dots;
    Path target;
    if (dots > 0) {
      if (dots > path.size()) return YamlError(value.place, absl::StrCat("${", expression, "} leads above the config"));
      target.assign(path.begin(), path.end() - dots);
    }
    // a[0] is a.0.
    std::string keys = expression.substr(dots);
    for (char& c : keys) {
      if (c == '[') c = '.';
    }
    for (absl::string_view key : absl::StrSplit(keys, '.')) {
      absl::ConsumeSuffix(&key, "]");
      if (key.empty() && !(dots > 0 && keys.empty())) {
        return YamlError(value.place, absl::StrCat("${", expression, "} is no path of keys"));
      }
      if (!key.empty()) target.emplace_back(key);
    }
    return Walk(std::move(target), value, expression);
  }

  absl::StatusOr<Found> Walk(Path target, const YamlValue& value, const std::string& expression) {
    Found found{{}, &root_};
    for (size_t i = 0; i <= target.size(); ++i) {
      // On the way, and at its end, other interpolations lead on.
      while (IsInterpolation(*found.value)) {
        if (i == target.size()) return found;  // its caller resolves it
        ASSIGN_OR_RETURN(std::optional<Found> next, Target(found.path, *found.value));
        if (!next.has_value()) break;
        found = *next;
      }
      if (i == target.size()) break;
      const YamlValue* child = found.value->Find(target[i]);
      uint64_t index = 0;
      if (found.value->is(Kind::kList) && absl::SimpleAtoi(target[i], &index) && index < found.value->elements.size()) {
        child = &found.value->elements[index];
      }
      if (child == nullptr) {
        return YamlError(value.place, absl::StrCat("${", expression, "}: there is no ", absl::StrJoin(target, ".")));
      }
      found.path.push_back(target[i]);
      found.value = child;
    }
    if (found.value->is(Kind::kText) && found.value->text == "???") {
      return YamlError(value.place,
                       absl::StrCat("${", expression, "}: ", absl::StrJoin(target, "."), " is \"???\", to be given"));
    }
    return found;
  }

  const YamlValue& root_;
  const YamlLimits limits_;
  std::set<std::string> active_;  // paths of interpolations that are being followed
  int64_t nodes_ = 0, bytes_ = 0;
};

}  // namespace

bool IsInterpolation(const YamlValue& value) { return value.is(Kind::kText) && absl::StrContains(value.text, "${"); }

absl::StatusOr<YamlValue> ResolveInterpolations(const YamlValue& root, const YamlLimits& limits) {
  return Resolver(root, limits).Resolve({}, root);
}

absl::StatusOr<YamlValue> ResolveEntry(const YamlValue& root, const std::string& key, const YamlLimits& limits) {
  return Resolver(root, limits).Resolve({key}, *root.Find(key));
}

const YamlValue* ContainerBehind(const YamlValue& root, const std::vector<std::string>& path,
                                 const YamlLimits& limits) {
  Resolver resolver(root, limits);
  Path at = path;
  const YamlValue* value = &root;
  for (const std::string& key : path) {
    value = value->Find(key);
    if (value == nullptr) return nullptr;
  }
  for (int i = 0; i < limits.max_depth && IsInterpolation(*value); ++i) {
    const auto found = resolver.Target(at, *value);
    if (!found.ok() || !found->has_value()) return nullptr;
    at = (*found)->path;
    value = (*found)->value;
  }
  return value->is(Kind::kMap) || value->is(Kind::kList) ? value : nullptr;
}

}  // namespace cubist
