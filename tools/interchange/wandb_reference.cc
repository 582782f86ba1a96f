#include "tools/interchange/wandb_reference.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/interchange/run_checkpoints.h"
#include "tools/wandb/run_identity.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "wdb:";

struct IdentifiedRun {
  std::string folder;
  WandbRunIdentity identity;
};

// The runs in runs/ that say which run of W&B they are, by their folders' names.
absl::StatusOr<std::vector<IdentifiedRun>> IdentifiedRuns() {
  std::vector<IdentifiedRun> runs;
  const std::string parent = ResolvePath("runs");
  if (!IsDirectory(parent)) return runs;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    ASSIGN_OR_RETURN(const std::optional<WandbRunIdentity> identity, ReadRunIdentity(entry.path().string()));
    if (identity.has_value()) runs.push_back({entry.path().string(), *identity});
  }
  if (error) return StorageError(absl::StrCat(parent, ": cannot list: ", error.message()));
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.folder < b.folder; });
  return runs;
}

bool IsInProject(const WandbRunIdentity& identity, const NamedRun& run) {
  return identity.project == run.project &&
         (identity.entity.empty() || run.entity.empty() || identity.entity == run.entity);
}

// Those with this id, else those with this name.
std::vector<IdentifiedRun> RunsOf(const std::vector<IdentifiedRun>& all, const NamedRun& run) {
  for (std::string WandbRunIdentity::*const member : {&WandbRunIdentity::id, &WandbRunIdentity::name}) {
    std::vector<IdentifiedRun> found;
    for (const IdentifiedRun& one : all) {
      if (IsInProject(one.identity, run) && one.identity.*member == run.name) found.push_back(one);
    }
    if (!found.empty()) return found;
  }
  return {};
}

absl::Status SeveralRuns(const WandbReference& reference, const std::vector<IdentifiedRun>& runs) {
  const std::string list = absl::StrJoin(runs, "", [](std::string* text, const IdentifiedRun& run) {
    absl::StrAppend(text, "\n  ", run.folder, " (id ", run.identity.id, ")");
  });
  return ConfigError(absl::StrCat("\"", reference.text, "\": several runs here have this name; name one by its id (",
                                  kPrefix, runs[0].identity.project, "/", runs[0].identity.id,
                                  ") or by its folder:", list));
}

// What came of looking into a run that is here. `on_server`: what to ask a server for if the checkpoint is not.
LocalSearch Outcome(ChosenCheckpoint chosen, NamedRun on_server, std::string reference_files = "") {
  return {std::move(chosen.path), std::move(chosen.missing), {std::move(on_server)}, std::move(reference_files)};
}

}  // namespace

bool IsWandbReference(std::string_view reference) { return reference.substr(0, sizeof(kPrefix) - 1) == kPrefix; }

absl::StatusOr<WandbReference> ParseWandbReference(std::string_view reference) {
  WandbReference parsed;
  parsed.text = std::string(reference);
  const absl::Status wrong =
      ConfigError(absl::StrCat("\"", parsed.text, "\": a W&B run is named wdb:ENTITY/PROJECT/RUN[:CHECKPOINT]"));
  if (!IsWandbReference(reference)) return wrong;
  const std::vector<std::string> halves = absl::StrSplit(parsed.text.substr(sizeof(kPrefix) - 1), ':');
  const std::vector<std::string> parts = absl::StrSplit(halves[0], '/');
  const bool plain = std::all_of(parts.begin(), parts.end(),
                                 [](const std::string& part) { return !part.empty() && part != "." && part != ".."; });
  if (parts.size() < 2 || !plain || halves.size() > 2 || halves.back().empty()) return wrong;
  ASSIGN_OR_RETURN(parsed.which, ParseWhich(halves.size() == 1 ? "last" : halves[1], reference));
  for (const ptrdiff_t before : {1, 0}) {
    if (static_cast<size_t>(before) + 1 >= parts.size()) continue;
    parsed.readings.push_back({before == 1 ? parts[0] : "", parts[static_cast<size_t>(before)],
                               absl::StrJoin(parts.begin() + before + 1, parts.end(), "/")});
  }
  return parsed;
}

absl::StatusOr<LocalSearch> FindOnThisMachine(const WandbReference& reference) {
  ASSIGN_OR_RETURN(const std::vector<IdentifiedRun> identified, IdentifiedRuns());
  std::vector<std::string> looked = {ResolvePath("runs") + "/*/wandb_run.json"};
  for (const NamedRun& run : reference.readings) {
    const std::vector<IdentifiedRun> found = RunsOf(identified, run);
    if (found.size() > 1) return SeveralRuns(reference, found);
    if (found.size() == 1) {
      const WandbRunIdentity& identity = found[0].identity;
      ASSIGN_OR_RETURN(ChosenCheckpoint chosen, ChooseInRun(found[0].folder, reference.which));
      const std::string& entity = identity.entity.empty() ? run.entity : identity.entity;
      return Outcome(std::move(chosen), {entity, identity.project, identity.id});
    }
    const std::string ours = ResolvePath("runs/" + run.name);
    const std::string theirs = ResolvePath(absl::StrCat("wandb/", run.project, "/", run.name)) + "/checkpoints";
    ASSIGN_OR_RETURN(const std::optional<WandbRunIdentity> other, ReadRunIdentity(ours));
    if (IsDirectory(ours + "/checkpoints") && !other.has_value()) {
      ASSIGN_OR_RETURN(ChosenCheckpoint chosen, ChooseInRun(ours, reference.which));
      return Outcome(std::move(chosen), run);
    }
    if (IsDirectory(theirs)) {
      ASSIGN_OR_RETURN(ChosenCheckpoint chosen, ChooseInLightningFolder(theirs, reference.which));
      return Outcome(std::move(chosen), run, theirs);
    }
    looked.push_back(ours);
    looked.push_back(theirs);
  }
  return LocalSearch{"", absl::StrCat("no such run here (looked for ", absl::StrJoin(looked, ", "), ")"),
                     reference.readings, ""};
}

}  // namespace cubist
