#include "tools/reference_config/import_report.h"

#include <filesystem>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

std::string ShortPlace(const YamlPlace& place, const std::string& main) {
  if (place.file == nullptr) return "not there; what the reference takes then";
  return PlaceText({std::make_shared<const std::string>(Shortened(*place.file, main)), place.line, place.column});
}

std::string LeftoverLine(const Leftover& leftover, const std::string& main) {
  const std::string found = leftover.value.empty()
                                ? " is not there"
                                : absl::StrCat(" = ", leftover.value, " (", ShortPlace(leftover.place, main), ")");
  return absl::StrCat("  ", leftover.key, found, ": ", leftover.reason, "\n");
}

// Where the values of the fields come from that `message` names.
std::string OriginLines(const ImportedExperiment& imported, absl::string_view message, const std::string& main) {
  const std::set<absl::string_view> words = absl::StrSplit(message, absl::ByAnyChar(" \n,:;()"));
  std::string lines;
  for (const auto& [path, origin] : imported.origins) {
    if (words.count(path) == 0) continue;
    absl::StrAppend(&lines, "  ", path, ": ", origin.key, " (", ShortPlace(origin.place, main), ")\n");
  }
  return lines;
}

}  // namespace

absl::StatusOr<ImportReport> ImportReferenceConfig(const std::string& path, const CompositionOptions& options) {
  ASSIGN_OR_RETURN(const ComposedConfig composed, ComposeReferenceConfig(path, options));
  const std::string name = std::filesystem::path(path).stem().string();
  ASSIGN_OR_RETURN(const ImportedExperiment imported, ImportExperiment(composed.root, name));

  ImportReport report;
  for (const Leftover& leftover : imported.leftovers) {
    ++(leftover.has_effect ? report.with_effect : report.without_effect);
    absl::StrAppend(leftover.has_effect ? &report.remarks : &report.without_effect_lines, LeftoverLine(leftover, path));
  }
  if (report.with_effect > 0) report.remarks.insert(0, "not carried over, though it changes what is computed:\n");

  report.text = "# Made by import_config from the reference's\n";
  for (const std::string& file : composed.files) absl::StrAppend(&report.text, "#   ", Shortened(file, path), "\n");
  for (const std::string& assignment : options.assignments) {
    absl::StrAppend(&report.text, "#   --set ", assignment.substr(0, assignment.find('\n')), "\n");
  }
  absl::StrAppend(&report.text, CanonicalMessageText(imported.experiment));
  if (const auto loaded = LoadExperimentText(report.text, name + ".textproto"); !loaded.ok()) {
    const std::string origins = OriginLines(imported, loaded.status().message(), path);
    return ConfigError(absl::StrCat(path, " makes no valid config. As ", name, ".textproto it has ",
                                    loaded.status().message(), origins.empty() ? "" : "\nwhere these come from:\n",
                                    origins, report.remarks.empty() ? "" : "\n", report.remarks));
  }
  for (const std::string& remark : imported.remarks) absl::StrAppend(&report.remarks, remark, "\n");
  return report;
}

}  // namespace cubist
