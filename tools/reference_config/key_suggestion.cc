#include "tools/reference_config/key_suggestion.h"

#include <utility>

#include "configs/field_path.h"

namespace cubist {
namespace {

// "a.b.c" -> "a.b" and "c".
std::pair<std::string, std::string> SectionAndName(const std::string& key) {
  const size_t dot = key.rfind('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

}  // namespace

std::string SuggestKey(const std::string& unknown, const std::vector<std::string>& known) {
  const auto [section, name] = SectionAndName(unknown);
  std::vector<std::string> names_beside, sections_of_name;
  for (const std::string& key : known) {
    auto [known_section, known_name] = SectionAndName(key);
    if (known_section == section) {
      names_beside.push_back(std::move(known_name));
    } else if (known_name == name) {
      sections_of_name.push_back(std::move(known_section));
    }
  }
  const std::string nearest = NearestWord(name, names_beside);
  if (!nearest.empty()) return JoinPath(section, nearest);
  if (sections_of_name.size() == 1) return JoinPath(sections_of_name[0], name);
  const std::string nearest_section = NearestWord(section, sections_of_name);
  return nearest_section.empty() ? "" : JoinPath(nearest_section, name);
}

}  // namespace cubist
