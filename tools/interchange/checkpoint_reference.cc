#include "tools/interchange/checkpoint_reference.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_reader.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kServerPrefix = "wdb:";
constexpr char kBestMetric[] = "val_loss";

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string ListSteps(const std::vector<int64_t>& steps) { return steps.empty() ? "none" : absl::StrJoin(steps, ", "); }

// A file of the reference's in its folder of checkpoints.
absl::StatusOr<std::string> FindLightningFile(const std::string& folder, const std::string& which) {
  if (which == "last") {
    if (Exists(folder + "/last.ckpt")) return folder + "/last.ckpt";
    return ConfigError(absl::StrCat(folder, ": has no last.ckpt; name another by :last_auto or :EPOCH"));
  }
  int64_t epoch = 0;
  if (which != "last_auto" && !absl::SimpleAtoi(which, &epoch)) {
    return ConfigError(absl::StrCat(folder, ": \"", which,
                                    "\" is none of last, last_auto and an epoch's number; which is ",
                                    "the best is known to the W&B server only, which is not asked"));
  }
  std::vector<std::string> found;
  std::optional<fs::file_time_type> newest;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".ckpt") continue;
    const std::string name = entry.path().filename().string();
    if (which == "last_auto") {
      const fs::file_time_type time = entry.last_write_time(error);
      if (!newest.has_value() || time > *newest) found = {entry.path().string()};
      newest = std::max(newest.value_or(time), time);
      continue;
    }
    // epoch=7-step=6250.ckpt, with any zeros in front.
    int64_t its_epoch = -1;
    const size_t equals = name.find('='), dash = name.find('-');
    if (absl::StartsWith(name, "epoch=") && dash != std::string::npos &&
        absl::SimpleAtoi(name.substr(equals + 1, dash - equals - 1), &its_epoch) && its_epoch == epoch) {
      found.push_back(entry.path().string());
    }
  }
  if (error) return StorageError(absl::StrCat(folder, ": cannot list: ", error.message()));
  std::sort(found.begin(), found.end());
  if (found.size() == 1) return found[0];
  if (found.empty()) return ConfigError(absl::StrCat(folder, ": has no file of :", which));
  return ConfigError(
      absl::StrCat(folder, ": several files are of epoch ", epoch, ", name one of them: ", absl::StrJoin(found, ", ")));
}

bool HoldsLightningFiles(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".ckpt") return true;
  }
  return false;
}

// A checkpoint of the run in this folder.
absl::StatusOr<std::string> FindInRun(const std::string& folder, const std::string& which) {
  const CheckpointStore store(SystemFileOps(), RunFolder(folder).checkpoints_path());
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.List());
  if (steps.empty() && HoldsLightningFiles(store.folder())) return FindLightningFile(store.folder(), which);
  if (steps.empty()) return ConfigError(absl::StrCat(folder, ": this run has saved no checkpoint yet"));
  if (which == "last") return store.FolderOf(steps.back());
  int64_t wanted = 0;
  if (which == "best") {
    ASSIGN_OR_RETURN(const Checkpoint newest, Checkpoint::Open(store.FolderOf(steps.back())));
    const auto best = newest.state().best_steps().find(kBestMetric);
    if (best == newest.state().best_steps().end()) {
      return ConfigError(absl::StrCat(folder, ": this run has not been validated, so no checkpoint is the best"));
    }
    wanted = best->second;
  } else if (!absl::SimpleAtoi(which, &wanted)) {
    return ConfigError(absl::StrCat(folder, ":", which, ": after the colon comes last, best or a step"));
  }
  if (std::find(steps.begin(), steps.end(), wanted) != steps.end()) return store.FolderOf(wanted);
  return ConfigError(absl::StrCat(folder, ": has no checkpoint of step ", wanted,
                                  which == "best" ? ", which was the best by val_loss" : "",
                                  "; it has those of: ", ListSteps(steps)));
}

absl::StatusOr<std::string> FindServerName(const std::string& reference) {
  const std::string text = reference.substr(kServerPrefix.size());
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::string which = colon == std::string::npos ? "last" : text.substr(colon + 1);
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  const bool plain = std::all_of(parts.begin(), parts.end(),
                                 [](const std::string& part) { return !part.empty() && part != "." && part != ".."; });
  if (parts.size() < 2 || !plain || which.empty() || which.find(':') != std::string::npos) {
    return ConfigError(absl::StrCat("\"", reference, "\": a W&B run is named wdb:ENTITY/PROJECT/RUN[:CHECKPOINT]"));
  }
  // With an entity in front or without; the run's name may have slashes itself.
  std::vector<std::string> looked;
  for (const size_t first : {size_t{1}, size_t{0}}) {
    if (first + 1 >= parts.size()) continue;
    const std::string project = parts[first];
    const std::string run = absl::StrJoin(parts.begin() + static_cast<std::ptrdiff_t>(first) + 1, parts.end(), "/");
    const std::string own = ResolvePath("runs/" + run), theirs = ResolvePath("wandb/" + project + "/" + run);
    if (IsDirectory(own + "/checkpoints")) return FindInRun(own, which);
    if (IsDirectory(theirs + "/checkpoints")) return FindLightningFile(theirs + "/checkpoints", which);
    looked.push_back(own);
    looked.push_back(theirs);
  }
  return ConfigError(absl::StrCat("\"", reference, "\": no such run here; looked for ", absl::StrJoin(looked, ", "),
                                  ". The W&B server is not asked: fetch the run's files, or name a file"));
}

}  // namespace

absl::StatusOr<std::string> ResolveCheckpoint(std::string_view reference) {
  const std::string text(reference);
  if (text.empty()) return ConfigError("a checkpoint's name is empty");
  if (absl::StartsWith(text, "wdb:")) return FindServerName(text);
  const std::string path = ResolvePath(text);
  if (IsDirectory(path + "/checkpoints")) return FindInRun(path, "last");
  if (Exists(path)) return path;
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    const std::string run = ResolvePath(text.substr(0, colon));
    if (IsDirectory(run + "/checkpoints")) return FindInRun(run, text.substr(colon + 1));
  }
  return ConfigError(absl::StrCat(path, ": there is no such run, checkpoint or file"));
}

}  // namespace cubist
