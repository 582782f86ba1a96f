#include "tools/interchange/checkpoint_log.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/checkpoint_text.h"
#include "tools/interchange/config_comparison.h"
#include "tools/training/checkpoint/manifest.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// The folders in a folder, sorted; none if it cannot be listed.
std::vector<std::string> FoldersIn(const fs::path& folder) {
  std::vector<std::string> folders;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (IsDirectory(entry.path().string())) folders.push_back(entry.path().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// Checkpoints of ours, by identity.
class Finder {
 public:
  // `path`: where the log begins. Its run is <run>/checkpoints/<path>.
  explicit Finder(const std::string& path) : run_(fs::path(path).parent_path().parent_path()) {
    if (IsDirectory(path)) Add(run_.string());
  }

  // Empty if it is not here.
  std::string Find(const std::string& identity) {
    if (const auto found = by_identity_.find(identity); found != by_identity_.end()) return found->second;
    if (!has_siblings_ && !by_identity_.empty()) {
      has_siblings_ = true;
      for (const std::string& run : FoldersIn(run_.parent_path())) Add(run);
      return Find(identity);
    }
    return "";
  }

  // The checkpoint of the same run with the highest step below this one's; empty if there is none.
  std::string Earlier(const std::string& path, int64_t step) const {
    const auto steps = by_step_.find(fs::path(path).parent_path().string());
    if (steps == by_step_.end()) return "";
    const auto at = steps->second.lower_bound(step);
    return at == steps->second.begin() ? "" : std::prev(at)->second;
  }

 private:
  void Add(const std::string& run) {
    const std::string checkpoints = RunFolder(run).checkpoints_path();
    for (const std::string& folder : FoldersIn(checkpoints)) {
      const std::string path = absl::StrCat(folder, "/", kManifestName);
      std::error_code error;
      // A device or a pipe would never end.
      if (!fs::is_regular_file(path, error)) continue;
      const absl::StatusOr<std::string> bytes = ReadWholeFile(path);
      if (!bytes.ok()) continue;
      const absl::StatusOr<DecodedManifest> decoded = DecodeManifest(*bytes, path);
      if (!decoded.ok()) continue;
      by_identity_.emplace(decoded->sha256, folder);
      by_step_[checkpoints][decoded->manifest.step()] = folder;
    }
  }

  const fs::path run_;
  bool has_siblings_ = false;
  std::map<std::string, std::string> by_identity_;
  std::map<std::string, std::map<int64_t, std::string>> by_step_;  // of a run's folder of checkpoints
};

std::string WhyMissing(const checkpoint::Parent& parent) {
  if (parent.has_format() && parent.format() != "Cubist") return "it was a file";
  return "retention removed it, or its run is elsewhere";
}

class LogDrawing {
 public:
  explicit LogDrawing(const std::vector<LogEntry>& log) : log_(log) {}

  std::string Draw() {
    DrawChain(0, "");
    return std::move(text_);
  }

 private:
  // An entry and what it came from, down to a merge or the end.
  void DrawChain(size_t number, const std::string& margin) {
    while (true) {
      const LogEntry& entry = log_[number];
      DrawEntry(entry, margin);
      if (entry.parents.size() > 1) return DrawBranches(entry, margin);
      if (entry.parents.empty()) return;
      const LogEntry::Parent& parent = entry.parents[0];
      if (!DrawParent(parent, margin)) return;
      number = *parent.entry;
    }
  }

  void DrawBranches(const LogEntry& entry, const std::string& margin) {
    for (size_t i = 0; i < entry.parents.size(); ++i) {
      const bool last = i + 1 == entry.parents.size();
      const LogEntry::Parent& parent = entry.parents[i];
      Line(margin,
           absl::StrCat(last ? "`-- " : "|-- ", parent.record.has_role() ? Escaped(parent.record.role()) : "parent"));
      const std::string inner = margin + (last ? "    " : "|   ");
      if (DrawParent(parent, inner)) DrawChain(*parent.entry, inner);
      if (!last) Line(margin, "|");
    }
  }

  // What there is to say where it is not just the next entry; whether the log goes on with it.
  bool DrawParent(const LogEntry::Parent& parent, const std::string& margin) {
    if (!parent.is_here) {
      Line(margin, absl::StrCat("PARENT ", OneLine(parent.record), ": not here; ", WhyMissing(parent.record)));
      if (parent.entry.has_value()) Line(margin, "what this run still has of before:");
    }
    if (!parent.entry.has_value()) return false;
    if (parent.is_repeated) Line(margin, absl::StrCat("PARENT ", OneLine(parent.record), ": see above"));
    return !parent.is_repeated;
  }

  void DrawEntry(const LogEntry& entry, const std::string& margin) {
    const CheckpointDescription& description = entry.description;
    if (!entry.damage.ok()) {
      Line(margin, absl::StrCat("* BAD  ", std::string(entry.damage.message())));
      return;
    }
    const checkpoint::TrainingState& state = description.state;
    Line(margin,
         absl::StrCat(
             "* ", state.has_step() ? absl::StrCat("step ", state.step()) : "step not known", "  ",
             ShortIdentity(description.identity), "  ",
             description.created.value_or(0) > 0 ? TimeText(*description.created) : "time not known", "  ",
             Escaped(description.program_version.empty() ? description.format_name : description.program_version)));
    Line(margin, absl::StrCat("    ", description.path));
    if (!description.config_hash.empty()) {
      Line(margin, absl::StrCat("    config ", ShortIdentity(description.config_hash),
                                entry.config_changes.empty() ? "" : ", changed:"));
    }
    for (const std::string& change : entry.config_changes) Line(margin, absl::StrCat("      ", change));
    std::vector<std::string> best;
    for (const auto& [metric, value] : std::map(state.best_metrics().begin(), state.best_metrics().end())) {
      const auto step = state.best_steps().find(metric);
      best.push_back(absl::StrCat(Escaped(metric), absl::StrFormat(" %.6g", value),
                                  step == state.best_steps().end() ? "" : absl::StrCat(" at step ", step->second)));
    }
    if (!best.empty()) Line(margin, absl::StrCat("    best ", absl::StrJoin(best, ", ")));
  }

  void Line(const std::string& margin, const std::string& line) { absl::StrAppend(&text_, margin, line, "\n"); }

  const std::vector<LogEntry>& log_;
  std::string text_;
};

}  // namespace

absl::StatusOr<std::vector<LogEntry>> ReadLog(const std::string& path) {
  Finder finder(path);
  std::vector<LogEntry> log;
  std::map<std::string, size_t> numbers;  // by path
  // Opens what is not in the log yet; its number, and whether it was there.
  const auto add = [&](const std::string& of) {
    const auto [at, is_new] = numbers.emplace(of, log.size());
    if (!is_new) return std::pair(at->second, true);
    LogEntry entry;
    entry.description.path = of;
    if (const auto opened = AnyCheckpoint::Open(of); opened.ok()) {
      entry.description = (*opened)->description();
    } else {
      entry.damage = opened.status();
    }
    log.push_back(std::move(entry));
    return std::pair(at->second, false);
  };
  add(path);
  RETURN_IF_ERROR(log[0].damage);
  for (size_t i = 0; i < log.size(); ++i) {
    const std::vector<checkpoint::Parent> records = log[i].description.parents;
    for (const checkpoint::Parent& record : records) {
      LogEntry::Parent parent;
      parent.record = record;
      std::string of = finder.Find(record.identity());
      parent.is_here = !of.empty();
      // Only a run's own earlier checkpoint is told without its format.
      if (of.empty() && !record.has_format()) {
        of = finder.Earlier(log[i].description.path, log[i].description.state.step());
      }
      if (!of.empty()) std::tie(parent.entry, parent.is_repeated) = add(of);
      log[i].parents.push_back(std::move(parent));
    }
    if (log[i].parents.size() != 1 || !log[i].parents[0].entry.has_value()) continue;
    const CheckpointDescription &before = log[*log[i].parents[0].entry].description, &now = log[i].description;
    if (!before.config_text.empty() && !now.config_text.empty()) {
      log[i].config_changes = CompareConfigs(before, now);
    }
  }
  return log;
}

std::string LogText(const std::vector<LogEntry>& log) { return LogDrawing(log).Draw(); }

std::string LogJson(const std::vector<LogEntry>& log) {
  Json json = Json::array();
  for (const LogEntry& entry : log) {
    Json item = DescriptionJson(entry.description);
    if (!entry.damage.ok()) item["damage"] = std::string(entry.damage.message());
    for (size_t i = 0; i < entry.parents.size(); ++i) {
      const LogEntry::Parent& parent = entry.parents[i];
      item["parents"][i]["here"] = parent.is_here;
      if (parent.entry.has_value()) item["parents"][i]["entry"] = *parent.entry;
    }
    item["config_changes"] = entry.config_changes;
    json.push_back(std::move(item));
  }
  return JsonText(json);
}

}  // namespace cubist
