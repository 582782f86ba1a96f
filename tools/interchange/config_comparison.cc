#include "tools/interchange/config_comparison.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "configs/loader.h"
#include "configs/resume_comparison.h"
#include "tools/interchange/checkpoint_text.h"

namespace cubist {
namespace {

constexpr size_t kLongestValue = 60;

absl::StatusOr<ValidatedExperiment> Load(const std::string& text) {
  return LoadExperimentText(text, "config.textproto");
}

// Lines that only one of the texts has.
std::vector<std::string> CompareLines(const std::string& old_text, const std::string& new_text) {
  std::vector<std::string> old_lines = absl::StrSplit(old_text, '\n'), new_lines = absl::StrSplit(new_text, '\n');
  std::sort(old_lines.begin(), old_lines.end());
  std::sort(new_lines.begin(), new_lines.end());
  std::vector<std::string> gone, come, lines;
  std::set_difference(old_lines.begin(), old_lines.end(), new_lines.begin(), new_lines.end(), std::back_inserter(gone));
  std::set_difference(new_lines.begin(), new_lines.end(), old_lines.begin(), old_lines.end(), std::back_inserter(come));
  for (const std::string& line : gone) lines.push_back("- " + Shortened(line, kLongestValue));
  for (const std::string& line : come) lines.push_back("+ " + Shortened(line, kLongestValue));
  if (lines.empty()) lines.push_back("the same lines in another order");
  return lines;
}

}  // namespace

std::vector<std::string> CompareConfigs(const CheckpointDescription& old_one, const CheckpointDescription& new_one) {
  const std::string &old_text = old_one.config_text, &new_text = new_one.config_text;
  if (old_text == new_text) return {};
  if (old_text.empty() || new_text.empty()) return {absl::StrCat("only in ", old_text.empty() ? "B" : "A")};
  const absl::StatusOr<ValidatedExperiment> old_config = Load(old_text), new_config = Load(new_text);
  if (!old_config.ok() || !new_config.ok()) return CompareLines(old_text, new_text);
  std::vector<std::string> lines;
  for (const FieldDifference& field : CompareForResume(old_config->proto(), new_config->proto())) {
    if (field.path == "name") continue;  // a file's name, where the config comes from one
    lines.push_back(absl::StrCat(field.path, ": ", Shortened(field.old_value, kLongestValue), " -> ",
                                 Shortened(field.new_value, kLongestValue)));
  }
  return lines;
}

std::string ConfigName(const std::string& config_text) {
  if (config_text.empty()) return "";
  const absl::StatusOr<ValidatedExperiment> config = Load(config_text);
  return config.ok() ? config->proto().name() : "";
}

}  // namespace cubist
