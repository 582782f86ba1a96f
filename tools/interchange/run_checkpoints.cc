#include "tools/interchange/run_checkpoints.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_reader.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

ChosenCheckpoint There(std::string path) { return {std::move(path), ""}; }
ChosenCheckpoint Missing(std::string why) { return {"", std::move(why)}; }

std::string ListSteps(const std::vector<int64_t>& steps) { return steps.empty() ? "none" : absl::StrJoin(steps, ", "); }

std::string NameOf(const std::string& path) { return fs::path(path).filename().string(); }

// Of "epoch=7-step=6250.ckpt", with any zeros in front; -1 for other names.
int64_t EpochOf(const std::string& name) {
  int64_t epoch = -1;
  const size_t equals = name.find('='), dash = name.find('-');
  const bool is_epoch = absl::StartsWith(name, "epoch=") && dash != std::string::npos &&
                        absl::SimpleAtoi(name.substr(equals + 1, dash - equals - 1), &epoch);
  return is_epoch ? epoch : -1;
}

// The .ckpt files in a folder, from the oldest to the newest.
absl::StatusOr<std::vector<std::string>> LightningFilesIn(const std::string& folder) {
  std::vector<std::pair<fs::file_time_type, std::string>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::error_code gone;
    const fs::file_time_type time = entry.last_write_time(gone);
    if (entry.path().extension() == ".ckpt" && !gone) files.emplace_back(time, entry.path().string());
  }
  if (error) return StorageError(absl::StrCat(folder, ": cannot list: ", error.message()));
  std::sort(files.begin(), files.end());
  std::vector<std::string> paths;
  for (const auto& [time, path] : files) paths.push_back(path);
  return paths;
}

}  // namespace

absl::StatusOr<std::string> ParseWhich(std::string_view which, std::string_view reference) {
  if (which == "epoch") return std::string("best");
  const bool is_number = !which.empty() && which.find_first_not_of("0123456789") == std::string_view::npos;
  int64_t number = 0;
  if (which == "last" || which == "last_auto" || which == "best") return std::string(which);
  if (is_number && absl::SimpleAtoi(std::string(which), &number)) return absl::StrCat(number);
  return ConfigError(absl::StrCat("\"", std::string(reference), "\": after the colon comes last, last_auto, best or a ",
                                  "step (of a run of the reference: an epoch)"));
}

absl::StatusOr<ChosenCheckpoint> ChooseLightningFile(const std::vector<std::string>& paths, const std::string& which,
                                                     const std::string& place) {
  if (which == "best") {
    return Missing(absl::StrCat(place, ": which file there is the best is known to the W&B server only"));
  }
  std::vector<std::string> found, names;
  for (const std::string& path : paths) {
    const std::string name = NameOf(path);
    names.push_back(name);
    if (which == "last" && name == "last.ckpt") found.push_back(path);
    if (which == "last_auto") found = {path};
    if (absl::StrCat(EpochOf(name)) == which) found.push_back(path);
  }
  if (found.size() == 1) return There(found[0]);
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    return ConfigError(absl::StrCat(place, ": several files are of epoch ", which,
                                    ", name one of them: ", absl::StrJoin(found, ", ")));
  }
  return Missing(absl::StrCat(place, ": has no ", which == "last" ? "last.ckpt" : absl::StrCat("file of :", which),
                              "; it has: ", names.empty() ? "no .ckpt" : absl::StrJoin(names, ", ")));
}

absl::StatusOr<ChosenCheckpoint> ChooseInLightningFolder(const std::string& folder, const std::string& which) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, LightningFilesIn(folder));
  return ChooseLightningFile(paths, which, folder);
}

absl::StatusOr<ChosenCheckpoint> ChooseInRun(const std::string& folder, const std::string& which) {
  const CheckpointStore store(SystemFileOps(), RunFolder(folder).checkpoints_path());
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, store.List());
  if (steps.empty()) {
    std::vector<std::string> files;
    if (IsDirectory(store.folder())) {
      ASSIGN_OR_RETURN(files, LightningFilesIn(store.folder()));
    }
    if (!files.empty()) return ChooseLightningFile(files, which, store.folder());
    return Missing(absl::StrCat(folder, ": this run has saved no checkpoint yet"));
  }
  if (which == "last" || which == "last_auto") return There(store.FolderOf(steps.back()));
  int64_t wanted = 0;
  if (which == "best") {
    ASSIGN_OR_RETURN(const Checkpoint newest, Checkpoint::Open(store.FolderOf(steps.back())));
    const auto best = newest.state().best_steps().find(kBestMetric);
    if (best == newest.state().best_steps().end()) {
      return Missing(absl::StrCat(folder, ": this run has not been validated, so no checkpoint is the best"));
    }
    wanted = best->second;
  } else if (!absl::SimpleAtoi(which, &wanted)) {
    return InternalError(absl::StrCat(which, ": did not come from ParseWhich"));
  }
  if (std::find(steps.begin(), steps.end(), wanted) != steps.end()) return There(store.FolderOf(wanted));
  return Missing(absl::StrCat(folder, ": has no checkpoint of step ", wanted,
                              which == "best" ? ", which was the best by val_loss" : "",
                              "; it has those of: ", ListSteps(steps)));
}

}  // namespace cubist
