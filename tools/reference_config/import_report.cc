#include "tools/reference_config/import_report.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/loader.h"
#include "tools/reference_config/experiment_import.h"

namespace cubist {
namespace {

// `file` from the folder of `main`, where it is below that: texts that are made elsewhere are the same.
std::string Shortened(const std::string& file, const std::string& main) {
  const std::string folder = main.substr(0, main.rfind('/') + 1);
  return !folder.empty() && absl::StartsWith(file, folder) ? file.substr(folder.size()) : file;
}

std::string LeftoverLines(const ImportedExperiment& imported, const std::string& main, bool with_effect) {
  std::string lines;
  for (const Leftover& leftover : imported.leftovers) {
    if (leftover.has_effect != with_effect) continue;
    YamlPlace place = leftover.place;
    if (place.file != nullptr) place.file = std::make_shared<const std::string>(Shortened(*place.file, main));
    absl::StrAppend(
        &lines, "  ", leftover.key,
        leftover.value.empty() ? " is not there: " : absl::StrCat(" = ", leftover.value, " (", PlaceText(place), "): "),
        leftover.reason, "\n");
  }
  return lines;
}

}  // namespace

absl::StatusOr<ImportReport> ImportReferenceConfig(const std::string& path, const CompositionOptions& options) {
  ASSIGN_OR_RETURN(const ComposedConfig composed, ComposeReferenceConfig(path, options));
  std::string name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.rfind('.'));
  ASSIGN_OR_RETURN(const ImportedExperiment imported, ImportExperiment(composed.root, name));

  ImportReport report;
  report.text = "# Made by import_config from the reference's\n";
  for (const std::string& file : composed.files) absl::StrAppend(&report.text, "#   ", Shortened(file, path), "\n");
  for (const std::string& assignment : options.assignments) {
    absl::StrAppend(&report.text, "#   --set ", assignment.substr(0, assignment.find('\n')), "\n");
  }
  absl::StrAppend(&report.text, CanonicalMessageText(imported.experiment));
  if (const auto loaded = LoadExperimentText(report.text, name + ".textproto"); !loaded.ok()) {
    return ConfigError(
        absl::StrCat(path, " makes no valid config. As ", name, ".textproto it has ", loaded.status().message()));
  }

  for (const std::string& remark : imported.remarks) absl::StrAppend(&report.remarks, remark, "\n");
  const std::string with_effect = LeftoverLines(imported, path, true), without = LeftoverLines(imported, path, false);
  if (!with_effect.empty()) {
    absl::StrAppend(&report.remarks, "not carried over, though it changes what is computed:\n", with_effect);
  }
  if (!without.empty()) absl::StrAppend(&report.remarks, "not carried over, without effect:\n", without);
  report.leftovers = static_cast<int>(imported.leftovers.size());
  for (const Leftover& leftover : imported.leftovers) report.with_effect += leftover.has_effect ? 1 : 0;
  return report;
}

}  // namespace cubist
