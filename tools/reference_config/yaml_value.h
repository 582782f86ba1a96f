// YAML as the reference's config loader (OmegaConf over PyYAML) understands it.
#ifndef CUBIST_TOOLS_REFERENCE_CONFIG_YAML_VALUE_H_
#define CUBIST_TOOLS_REFERENCE_CONFIG_YAML_VALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Where a value stands; line and column count from 1, 0: unknown.
struct YamlPlace {
  std::shared_ptr<const std::string> file;
  int line = 0;
  int column = 0;
};

// "file.yaml:3:7".
std::string PlaceText(const YamlPlace& place);

struct YamlValue {
  enum class Kind { kNull, kBool, kInteger, kFloat, kText, kMap, kList };
  using Entry = std::pair<std::string, YamlValue>;

  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<Entry> entries;       // of a map, in order; keys are distinct
  std::vector<YamlValue> elements;  // of a list
  YamlPlace place;

  bool is(Kind wanted) const { return kind == wanted; }
  // The entry of a map; null if there is none, or this is no map.
  const YamlValue* Find(std::string_view key) const;
  YamlValue* Find(std::string_view key);
  void Set(const std::string& key, YamlValue value);  // adds or replaces
  void Remove(std::string_view key);
};

// What is refused before it takes memory and time.
struct YamlLimits {
  int64_t max_bytes = int64_t{1} << 20;  // of a file, and of a text
  int64_t max_nodes = 20000;             // of a value, aliases and interpolations counted wherever they stand
  int max_depth = 64;
};

// ConfigError "file.yaml:3:7: <message>".
absl::Status YamlError(const YamlPlace& place, std::string_view message);

// The one document of `bytes`; a null where there is none. `name` stands for the file in messages.
// Plain scalars are what OmegaConf takes them for: 1e-7 is a number, yes and on are true, 1_000 is 1000, 0o17 is text.
// Errors: ConfigErrors with place: no YAML, a quote that is not closed, more than one document, a key twice, a key that
// is no scalar, a tag that is none of YAML's own, a number that 64 bits do not hold, anything over `limits`.
absl::StatusOr<YamlValue> ParseYaml(std::string_view bytes, const std::string& name, const YamlLimits& limits = {});

// The same for a text that stands at `place` as a whole, as a flag's value does: everything in it has that place.
absl::StatusOr<YamlValue> ParseYamlAt(std::string_view text, const YamlPlace& place, const YamlLimits& limits = {});

// As Python's str() writes a scalar: True, None, 1e-07. `value` is neither map nor list.
std::string PythonText(const YamlValue& value);

// In one line, as JSON: for messages.
std::string JsonText(const YamlValue& value);

}  // namespace cubist

#endif  // CUBIST_TOOLS_REFERENCE_CONFIG_YAML_VALUE_H_
