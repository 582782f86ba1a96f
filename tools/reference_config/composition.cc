#include "tools/reference_config/composition.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/reference_config/interpolation.h"

namespace cubist {
namespace {

using Kind = YamlValue::Kind;
using Path = std::vector<std::string>;

// What the reference's default/param.yaml says.
constexpr char kDefaults[] =
    "test_set_shuffle: false\nbatch_size: 1\naccumulate_grad_batches: 1\nvisualize: false\nname: '--'\n";
constexpr char kDefaultsPath[] = "default/param.yaml";
constexpr int kFoldersUp = 3;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

bool IsMissing(const YamlValue& value) { return value.is(Kind::kText) && value.text == "???"; }

class Composer {
 public:
  explicit Composer(const CompositionOptions& options) : options_(options) {}

  absl::StatusOr<ComposedConfig> Compose(const std::string& path) {
    ASSIGN_OR_RETURN(YamlValue root, Defaults(path));
    ASSIGN_OR_RETURN(const YamlValue main, ReadFile(path, options_.includes, "", {}));
    RETURN_IF_ERROR(Merge(&root, main));
    for (const std::string& assignment : options_.assignments) {
      const size_t equals = assignment.find('=');
      if (equals == std::string::npos || equals == 0) {
        return ConfigError(absl::StrCat("--set ", assignment, ": expected KEY=VALUE"));
      }
      const YamlPlace flag{std::make_shared<const std::string>("--set " + assignment)};
      ASSIGN_OR_RETURN(YamlValue value,
                       ParseYamlAt(std::string_view(assignment).substr(equals + 1), flag, options_.limits));
      RETURN_IF_ERROR(Assign(assignment.substr(0, equals), std::move(value), &root));
    }
    ComposedConfig composed;
    ASSIGN_OR_RETURN(composed.root, ResolveInterpolations(root, options_.limits));
    // Keys come from anywhere; one that nobody gives is missing from what the user named.
    composed.root.place = {main.place.file};
    composed.files = files_;
    return composed;
  }

 private:
  absl::StatusOr<YamlValue> Defaults(const std::string& path) {
    if (options_.defaults.has_value()) return ReadFile(*options_.defaults, {}, "", {});
    std::string folder = FolderOf(path);
    for (int i = 0; i <= kFoldersUp; ++i) {
      const std::string candidate = folder + kDefaultsPath;
      if (access(candidate.c_str(), R_OK) == 0) return ReadFile(candidate, {}, "", {});
      folder += "../";
    }
    return ParseYaml(kDefaults, "built-in defaults", options_.limits);
  }

  // `named_by`: who asks for the file, in messages. `above`: the files whose includes lead here.
  absl::StatusOr<YamlValue> ReadFile(const std::string& path, const std::vector<std::string>& more_includes,
                                     const std::string& named_by, const std::vector<std::string>& above) {
    const std::string context = named_by.empty() ? path : absl::StrCat(named_by, ": ", path);
    // Other spellings of a path are found by the depth that they lead to.
    if (std::count(above.begin(), above.end(), path) > 0 || above.size() > 32 || files_.size() > 1000) {
      return ConfigError(absl::StrCat(context, " includes itself: ", absl::StrJoin(above, " -> "), " -> ", path));
    }
    const absl::StatusOr<std::string> bytes = ReadWholeFile(path, static_cast<size_t>(options_.limits.max_bytes));
    if (!bytes.ok()) {
      return ConfigError(absl::StrCat(named_by, named_by.empty() ? "" : ": ", bytes.status().message()));
    }
    if (std::count(files_.begin(), files_.end(), path) == 0) files_.push_back(path);
    ASSIGN_OR_RETURN(YamlValue config, ParseYaml(*bytes, path, options_.limits));
    if (config.is(Kind::kNull)) config.kind = Kind::kMap;
    if (!config.is(Kind::kMap)) return YamlError(config.place, "a config is a mapping from keys to values");

    std::vector<std::string> above_includes = above;
    above_includes.push_back(path);
    YamlValue result;
    result.kind = Kind::kMap;
    result.place = config.place;
    if (const YamlValue* listed = config.Find("include_configs"); listed != nullptr) {
      ASSIGN_OR_RETURN(const YamlValue resolved, ResolveEntry(config, "include_configs", options_.limits));
      ASSIGN_OR_RETURN(const std::vector<std::string> names, IncludeNames(resolved));
      for (const std::string& name : names) {
        const std::string included = name[0] == '/' ? name : FolderOf(path) + Tidy(name);
        ASSIGN_OR_RETURN(const YamlValue below, ReadFile(included, {}, PlaceText(listed->place), above_includes));
        RETURN_IF_ERROR(Merge(&result, below));
      }
      config.Remove("include_configs");
    }
    for (const std::string& included : more_includes) {
      ASSIGN_OR_RETURN(const YamlValue below, ReadFile(included, {}, "--include", above_includes));
      RETURN_IF_ERROR(Merge(&result, below));
    }
    RETURN_IF_ERROR(Merge(&result, config));
    return ApplyAssign(std::move(result));
  }

  static std::string Tidy(std::string name) {
    while (absl::StartsWith(name, "./")) name.erase(0, 2);
    return name;
  }

  static absl::StatusOr<std::vector<std::string>> IncludeNames(const YamlValue& listed) {
    std::vector<std::string> names;
    std::vector<YamlValue> values = listed.elements;
    if (listed.is(Kind::kText)) values = {listed};
    for (const YamlValue& value : values) {
      if (value.is(Kind::kText) && !value.text.empty()) names.push_back(value.text);
    }
    if (names.size() != values.size() || (names.empty() && !listed.is(Kind::kList))) {
      return YamlError(listed.place, "include_configs takes the path of a file, or a list of them");
    }
    return names;
  }

  absl::StatusOr<YamlValue> ApplyAssign(YamlValue config) {
    const YamlValue* assign = config.Find("assign");
    if (assign == nullptr) return config;
    if (!assign->is(Kind::kMap)) return YamlError(assign->place, "assign takes a mapping from paths to values");
    ASSIGN_OR_RETURN(const YamlValue overlay, ResolveEntry(config, "assign", options_.limits));
    config.Remove("assign");
    for (const YamlValue::Entry& entry : overlay.entries) {
      // The reference writes "path=value" and reads that again, so a text that looks like a number becomes one, and
      // null becomes the text None.
      YamlValue value = entry.second;
      if (!value.is(Kind::kMap) && !value.is(Kind::kList)) {
        ASSIGN_OR_RETURN(value, ParseYamlAt(PythonText(entry.second), entry.second.place, options_.limits));
      }
      RETURN_IF_ERROR(Assign(entry.first, std::move(value), &config));
    }
    return config;
  }

  // "a.b" = value.
  absl::Status Assign(const std::string& path, YamlValue value, YamlValue* config) {
    YamlValue overlay = std::move(value);
    const std::vector<std::string> keys = absl::StrSplit(path, '.');
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
      if (key->empty() || absl::StrContains(*key, "[")) {
        return YamlError(overlay.place, absl::StrCat("\"", path, "\" is no path of keys joined by dots"));
      }
      YamlValue outer;
      outer.kind = Kind::kMap;
      outer.place = overlay.place;
      outer.Set(*key, std::move(overlay));
      overlay = std::move(outer);
    }
    return Merge(config, overlay);
  }

  // Lays `source` over `config`.
  absl::Status Merge(YamlValue* config, const YamlValue& source) {
    Path path;
    root_ = config;
    return MergeMap(config, source, &path);
  }

  absl::Status MergeMap(YamlValue* target, const YamlValue& source, Path* path) {
    for (const YamlValue::Entry& entry : source.entries) {
      path->push_back(entry.first);
      RETURN_IF_ERROR(MergeEntry(target, entry, path));
      path->pop_back();
    }
    return absl::OkStatus();
  }

  absl::Status MergeEntry(YamlValue* target, const YamlValue::Entry& entry, Path* path) {
    const YamlValue& value = entry.second;
    YamlValue* existing = target->Find(entry.first);
    if (existing == nullptr) {
      target->Set(entry.first, value);
      return absl::OkStatus();
    }
    // An interpolation that stands for a map is replaced by a copy before that is changed.
    if (IsInterpolation(*existing)) {
      if (const YamlValue* behind = ContainerBehind(*root_, *path, options_.limits)) *existing = YamlValue(*behind);
    }
    if (IsMissing(value)) return absl::OkStatus();
    const bool container = existing->is(Kind::kMap) || existing->is(Kind::kList);
    const bool other_container =
        container && (value.is(Kind::kMap) || value.is(Kind::kList)) && existing->kind != value.kind;
    if (other_container) {
      return YamlError(
          value.place,
          absl::StrCat(absl::StrJoin(*path, "."), " is a ", value.is(Kind::kMap) ? "map" : "list", " here and a ",
                       value.is(Kind::kMap) ? "list" : "map", " in ", PlaceText(existing->place)));
    }
    if (existing->is(Kind::kMap) && value.is(Kind::kMap)) {
      RETURN_IF_ERROR(MergeMap(existing, value, path));
      existing->place = value.place;
      return absl::OkStatus();
    }
    *existing = value;
    return absl::OkStatus();
  }

  const CompositionOptions& options_;
  std::vector<std::string> files_;
  const YamlValue* root_ = nullptr;  // of the merge that is under way
};

}  // namespace

absl::StatusOr<ComposedConfig> ComposeReferenceConfig(const std::string& path, const CompositionOptions& options) {
  return Composer(options).Compose(path);
}

}  // namespace cubist
