#include "tools/interchange/hyper_parameters.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/loader.h"
#include "nlohmann/json.hpp"
#include "tools/reference_config/experiment_import.h"
#include "tools/reference_config/interpolation.h"

namespace cubist {
namespace {

constexpr char kOmegaConf[] = "omegaconf.";

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(std::make_shared<const std::string>(file + ": hyper_parameters")) {}

  absl::StatusOr<YamlValue> Read(const PickleValue& value, const std::string& key, int depth) {
    if (depth > limits_.max_depth) return Refuse(key, "is nested too deep");
    if (++count_ > limits_.max_nodes) return Refuse(key, "comes after too many values");
    YamlValue result;
    result.place.file = file_;
    switch (value.kind()) {
      case PickleKind::kNone:
        return result;
      case PickleKind::kBool:
        result.kind = YamlValue::Kind::kBool;
        result.boolean = value.bool_value();
        return result;
      case PickleKind::kInt:
        result.kind = YamlValue::Kind::kInteger;
        result.integer = value.int_value();
        // As the parser of YAML has it: an integer is a number and a word, too.
        result.number = static_cast<double>(result.integer);
        result.text = std::to_string(result.integer);
        return result;
      case PickleKind::kFloat:
        result.kind = YamlValue::Kind::kFloat;
        result.number = value.float_value();
        return result;
      case PickleKind::kString:
        result.kind = YamlValue::Kind::kText;
        result.text = value.string();
        return result;
      case PickleKind::kDict:
        result.kind = YamlValue::Kind::kMap;
        for (size_t i = 0; i < value.pair_count(); ++i) {
          ASSIGN_OR_RETURN(const YamlValue name, Read(value.key(i), key, depth + 1));
          if (name.is(YamlValue::Kind::kMap) || name.is(YamlValue::Kind::kList)) return Refuse(key, "has an odd key");
          const std::string text = PythonText(name);
          ASSIGN_OR_RETURN(YamlValue element,
                           Read(value.value(i), absl::StrCat(key, key.empty() ? "" : ".", text), depth + 1));
          result.Set(text, std::move(element));
        }
        return result;
      case PickleKind::kList:
      case PickleKind::kTuple:
        result.kind = YamlValue::Kind::kList;
        for (size_t i = 0; i < value.size(); ++i) {
          ASSIGN_OR_RETURN(YamlValue element, Read(value.item(i), absl::StrCat(key, "[", i, "]"), depth + 1));
          result.elements.push_back(std::move(element));
        }
        return result;
      case PickleKind::kObject:
        return ReadNode(value, key, depth);
      default:
        return Refuse(key, absl::StrCat("is a ", std::string(Name(value.kind()))));
    }
  }

 private:
  // A container keeps its value in _content, a text for an interpolation and None for null; a leaf in _val. _parent
  // points back up and is not followed.
  absl::StatusOr<YamlValue> ReadNode(const PickleValue& node, const std::string& key, int depth) {
    if (!absl::StartsWith(node.class_name(), kOmegaConf) || !node.state().has_value() ||
        node.state()->kind() != PickleKind::kDict) {
      return Refuse(key, absl::StrCat("is an object of ", node.class_name()));
    }
    for (const char* field : {"_content", "_val"}) {
      if (const std::optional<PickleValue> value = node.state()->Find(field)) return Read(*value, key, depth + 1);
    }
    return Refuse(key, absl::StrCat("is an object of ", node.class_name(), " without a value"));
  }

  absl::Status Refuse(const std::string& key, const std::string& why) const {
    return DataError(absl::StrCat(*file_, ": ", key.empty() ? "the config" : "\"" + key + "\"", " ", why));
  }

  const std::shared_ptr<const std::string> file_;
  // Every value of a DictConfig is a node within a node.
  const YamlLimits limits_ = {int64_t{1} << 20, 40000, 128};
  int64_t count_ = 0;
};

nlohmann::ordered_json JsonOf(const YamlValue& value) {
  switch (value.kind) {
    case YamlValue::Kind::kNull:
      return nullptr;
    case YamlValue::Kind::kBool:
      return value.boolean;
    case YamlValue::Kind::kInteger:
      return value.integer;
    case YamlValue::Kind::kFloat:
      return value.number;
    case YamlValue::Kind::kText:
      return value.text;
    case YamlValue::Kind::kMap: {
      nlohmann::ordered_json map = nlohmann::ordered_json::object();
      for (const YamlValue::Entry& entry : value.entries) map[entry.first] = JsonOf(entry.second);
      return map;
    }
    case YamlValue::Kind::kList: {
      nlohmann::ordered_json list = nlohmann::ordered_json::array();
      for (const YamlValue& element : value.elements) list.push_back(JsonOf(element));
      return list;
    }
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<YamlValue> ReadHyperParameters(const PickleValue& pickled, const std::string& file) {
  ASSIGN_OR_RETURN(const YamlValue root, Reader(file).Read(pickled, "", 0));
  if (!root.is(YamlValue::Kind::kMap)) return DataError(absl::StrCat(file, ": hyper_parameters are no dict"));
  absl::StatusOr<YamlValue> resolved = ResolveInterpolations(root, YamlLimits());
  if (!resolved.ok()) return DataError(std::string(resolved.status().message()));
  return resolved;
}

std::string HyperParametersJson(const YamlValue& hyper_parameters) {
  return JsonOf(hyper_parameters).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

ImportedConfig ImportHyperParameters(const YamlValue& hyper_parameters, const std::string& name) {
  ImportedConfig config;
  const auto no_config = [&config](const absl::Status& status) {
    config.remarks.push_back(absl::StrCat("the hyper-parameters make no config: ", std::string(status.message())));
    return config;
  };
  const absl::StatusOr<ImportedExperiment> imported = ImportExperiment(hyper_parameters, name);
  if (!imported.ok()) return no_config(imported.status());
  for (const Leftover& leftover : imported->leftovers) {
    if (!leftover.has_effect) continue;
    config.remarks.push_back(absl::StrCat("hyper-parameter ", leftover.key,
                                          leftover.value.empty() ? " is not there" : " = " + leftover.value,
                                          " could not be carried over: ", leftover.reason));
  }
  for (const std::string& remark : imported->remarks) config.remarks.push_back(remark);
  const auto loaded = LoadExperimentText(CanonicalMessageText(imported->experiment), name + ".textproto");
  if (!loaded.ok()) return no_config(loaded.status());
  config.text = loaded->CanonicalText();
  config.hash = loaded->Hash();
  return config;
}

}  // namespace cubist
