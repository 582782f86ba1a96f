#include "tools/interchange/remote_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/interchange/run_checkpoints.h"
#include "tools/training/checkpoint/hashes.h"
#include "tools/training/checkpoint/manifest.h"
#include "tools/wandb/run_identity.h"

namespace cubist {
namespace {

constexpr char kFolder[] = "checkpoints/";
constexpr char kEnding[] = ".ckpt";

bool LooksLikeId(const std::string& name) { return name.size() == 8 && name.find_first_of("/_-") == std::string::npos; }

absl::StatusOr<std::vector<std::string>> AliasesOf(const std::string& which) {
  if (which == "last" || which == "last_auto") return std::vector<std::string>{"last", "latest"};
  if (which == "best") return std::vector<std::string>{"best"};
  int64_t step = 0;
  if (!absl::SimpleAtoi(which, &step)) return InternalError(absl::StrCat(which, ": did not come from ParseWhich"));
  return std::vector<std::string>{StepAlias(step)};
}

// A checkpoint of ours has its manifest among its files, Lightning's artifact one file.
absl::StatusOr<RemoteCheckpoint> CheckpointIn(ServerSession& session, const RemoteArtifact& artifact,
                                              const std::string& name) {
  RemoteCheckpoint checkpoint;
  checkpoint.key = artifact.digest;
  ASSIGN_OR_RETURN(checkpoint.files, FilesOfArtifact(session, artifact.id));
  std::vector<std::string> names;
  for (const RemoteFile& file : checkpoint.files) {
    names.push_back(file.name);
    if (file.name == kManifestName) return checkpoint;
  }
  if (names.size() == 1 && absl::EndsWith(names[0], kEnding)) {
    checkpoint.file = names[0];
    return checkpoint;
  }
  return ConfigError(absl::StrCat("the artifact ", name, " is neither a checkpoint of ours (", kManifestName,
                                  " and its ", "files) nor one ", kEnding,
                                  " file; it has: ", absl::StrJoin(names, ", ")));
}

// The file checkpoints/NAME as a folder with NAME alone.
absl::StatusOr<RemoteCheckpoint> CheckpointOf(RemoteFile file) {
  RemoteCheckpoint checkpoint;
  std::string md5;
  if (!absl::Base64Unescape(file.md5, &md5) || md5.empty()) {
    return PeerLostError(
        absl::StrCat(file.name, ": the server does not say its MD5; download it by hand, and name the ", "file"));
  }
  checkpoint.key = ToHex(md5);
  file.name = std::filesystem::path(file.name).filename().string();
  checkpoint.file = file.name;
  checkpoint.files = {std::move(file)};
  return checkpoint;
}

absl::StatusOr<RemoteSearch> FindInRun(ServerSession& session, const RemoteProject& project, const std::string& id,
                                       std::string which) {
  RemoteSearch search;
  std::vector<std::string> looked;
  ASSIGN_OR_RETURN(const std::vector<std::string> aliases, AliasesOf(which));
  for (const std::string& alias : aliases) {
    const std::string name = absl::StrCat(CheckpointCollection(id), ":", alias);
    ASSIGN_OR_RETURN(const std::optional<RemoteArtifact> artifact, FindArtifact(session, project, name));
    looked.push_back(name);
    if (!artifact.has_value()) continue;
    search.run_id = id;
    ASSIGN_OR_RETURN(search.checkpoint, CheckpointIn(session, *artifact, name));
    return search;
  }
  ASSIGN_OR_RETURN(std::optional<std::vector<RemoteFile>> files, FilesOfRun(session, project, id));
  if (!files.has_value()) return search;
  search.run_id = id;
  search.missing = absl::StrCat("the run ", id, " there has no artifact ", absl::StrJoin(looked, " or "));
  if (which == "best") {
    ASSIGN_OR_RETURN(search.best_epoch, EpochOfLowest(session, project, id, kBestMetric));
    if (!search.best_epoch.has_value()) {
      absl::StrAppend(&search.missing, ", and its history no row with ", kBestMetric, " and epoch");
      return search;
    }
    which = absl::StrCat(*search.best_epoch);
  }
  std::sort(files->begin(), files->end(), [](const RemoteFile& a, const RemoteFile& b) {
    return std::tie(a.time, a.name) < std::tie(b.time, b.name);
  });
  std::vector<std::string> paths;
  for (const RemoteFile& file : *files) {
    if (absl::StartsWith(file.name, kFolder) && absl::EndsWith(file.name, kEnding)) paths.push_back(file.name);
  }
  const std::string place = absl::StrCat("among its files, ", kFolder, "*", kEnding);
  ASSIGN_OR_RETURN(const ChosenCheckpoint chosen, ChooseLightningFile(paths, which, place));
  absl::StrAppend(&search.missing, "; ", chosen.missing);
  for (RemoteFile& file : *files) {
    if (file.name != chosen.path) continue;
    ASSIGN_OR_RETURN(search.checkpoint, CheckpointOf(std::move(file)));
    break;
  }
  return search;
}

// By the name that it is shown by.
absl::StatusOr<RemoteSearch> FindNamed(ServerSession& session, const RemoteProject& project, const std::string& name,
                                       const std::string& which) {
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, RunsNamed(session, project, name));
  if (ids.empty()) return RemoteSearch();
  if (ids.size() == 1) return FindInRun(session, project, ids[0], which);
  return ConfigError(absl::StrCat("several runs of ", project.entity, "/", project.name, " are shown as \"", name,
                                  "\"; name one by its id, the newest is the first: wdb:", project.entity, "/",
                                  project.name, "/", absl::StrJoin(ids, ", ")));
}

}  // namespace

absl::StatusOr<RemoteSearch> FindOnServer(ServerSession& session, const NamedRun& run, const std::string& which) {
  const RemoteProject project = {run.entity, run.project};
  const bool id_first = LooksLikeId(run.name);
  for (const bool by_id : {id_first, !id_first}) {
    // An id has no slashes.
    if (by_id && absl::StrContains(run.name, "/")) continue;
    ASSIGN_OR_RETURN(RemoteSearch search, by_id ? FindInRun(session, project, run.name, which)
                                                : FindNamed(session, project, run.name, which));
    if (!search.run_id.empty()) return search;
  }
  RemoteSearch nothing;
  nothing.missing =
      absl::StrCat("no run of ", run.entity, "/", run.project, " there has the id or the name \"", run.name, "\"");
  return nothing;
}

}  // namespace cubist
