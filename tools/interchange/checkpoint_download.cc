#include "tools/interchange/checkpoint_download.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/file_ops.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "tools/interchange/checkpoint_reference.h"
#include "tools/interchange/remote_checkpoint.h"
#include "tools/interchange/run_checkpoints.h"
#include "tools/interchange/wandb_reference.h"
#include "tools/training/checkpoint/manifest.h"
#include "tools/wandb/artifact_files.h"
#include "tools/wandb/core_session.h"
#include "tools/wandb/credentials.h"
#include "tools/wandb/reference_lookup.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShownCopies = 5;

std::string ValueOf(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

absl::StatusOr<std::string> CacheFolder(const Environment& environment) {
  std::string folder = ValueOf(environment, "XDG_CACHE_HOME");
  if (!absl::StartsWith(folder, "/")) {  // a relative one does not count
    const std::string home = ValueOf(environment, "HOME");
    if (home.empty()) return ConfigError("there is no place for downloads: set HOME, or XDG_CACHE_HOME");
    folder = home + "/.cache";
  }
  return folder + "/cubist/wandb";
}

std::vector<std::string> FoldersIn(const std::string& folder) {
  std::vector<std::string> folders;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (IsDirectory(entry.path().string())) folders.push_back(entry.path().string());
  }
  return folders;
}

// Paths that can be named in the place of what the server would have had, newest first.
std::vector<std::string> CachedCopies(const std::string& cache, const NamedRun& run) {
  std::vector<std::pair<fs::file_time_type, std::string>> copies;
  const std::vector<std::string> entities =
      run.entity.empty() ? FoldersIn(cache) : std::vector<std::string>{absl::StrCat(cache, "/", run.entity)};
  for (const std::string& entity : entities) {
    const std::string project = absl::StrCat(entity, "/", run.project), by_id = absl::StrCat(project, "/", run.name);
    // Which id a name stands for only the server knows.
    const bool is_id = !absl::StrContains(run.name, "/") && IsDirectory(by_id);
    for (const std::string& of_run : is_id ? std::vector<std::string>{by_id} : FoldersIn(project)) {
      for (const std::string& folder : FoldersIn(of_run)) {
        if (absl::StrContains(fs::path(folder).filename().string(), '.')) continue;  // a download that is not done
        std::error_code error;
        const fs::file_time_type time = fs::last_write_time(folder, error);
        if (fs::exists(absl::StrCat(folder, "/", kManifestName), error)) {
          copies.emplace_back(time, folder);
          continue;
        }
        for (const fs::directory_entry& file : fs::directory_iterator(folder, error)) {
          copies.emplace_back(time, file.path().string());
        }
      }
    }
  }
  std::sort(copies.rbegin(), copies.rend());
  std::vector<std::string> paths;
  for (const auto& [time, path] : copies) {
    if (paths.size() < kShownCopies) paths.push_back(path);
  }
  return paths;
}

// One question to the server, from its first word to a checkpoint on disk.
class Question {
 public:
  Question(const WandbReference& reference, const LocalSearch& here, const CheckpointServer& server)
      : reference_(reference), here_(here), server_(server), stop_(server.session.stop) {}

  absl::StatusOr<std::string> Answer() {
    ASSIGN_OR_RETURN(cache_, CacheFolder(server_.environment));
    ASSIGN_OR_RETURN(credentials_, ReadWandbCredentials(server_.environment));
    RETURN_IF_ERROR(CheckKeyForServer(credentials_));
    if (stop_ == nullptr) stop_ = StopOnSignals();
    CoreProcessOptions options;
    ASSIGN_OR_RETURN(options.program, server_.program);
    options.environment = server_.environment;
    options.stop = stop_;
    ASSIGN_OR_RETURN(options.folder, MakeTemporaryFolder("cubist-wandb"));
    absl::StatusOr<std::string> path = AskThrough(options);
    // A message may point at the log in there.
    if (path.ok() || !absl::StrContains(path.status().message(), options.folder)) {
      RemoveTree(SystemFileOps(), options.folder).IgnoreError();
    }
    return path;
  }

 private:
  absl::StatusOr<std::string> AskThrough(const CoreProcessOptions& options) {
    ASSIGN_OR_RETURN(CoreSession core, CoreSession::Start(SystemFileOps(), options));
    absl::StatusOr<std::string> path = Ask(*core.client);
    (void)core.End();  // all that it had to do is answered
    return path;
  }

  absl::StatusOr<std::string> Ask(CoreClient& client) {
    ServerSessionOptions options = server_.session;
    options.stop = stop_;
    ASSIGN_OR_RETURN(const std::unique_ptr<ServerSession> session, ServerSession::Open(client, credentials_, options));
    std::vector<std::string> missing;
    for (NamedRun run : here_.runs) {
      absl::StatusOr<RemoteSearch> found = Find(*session, run);
      if (!found.ok()) return NamingCopies(found.status(), run);
      if (!found->checkpoint.has_value()) missing.push_back(found->missing);
      if (found->checkpoint.has_value()) return Download(*session, run, *found);
      // The server knows which epoch was the best, and its file is here.
      if (found->best_epoch.has_value() && !here_.reference_files.empty()) {
        ASSIGN_OR_RETURN(ChosenCheckpoint chosen,
                         ChooseInLightningFolder(here_.reference_files, absl::StrCat(*found->best_epoch)));
        if (!chosen.path.empty()) return chosen.path;
        missing.push_back(chosen.missing);
      }
      if (!found->run_id.empty()) break;
    }
    return ConfigError(absl::StrCat("asked ", credentials_.base_url, ": ", absl::StrJoin(missing, "; ")));
  }

  // Fills in the entity where the name has none.
  absl::StatusOr<RemoteSearch> Find(ServerSession& session, NamedRun& run) {
    if (run.entity.empty()) run.entity = credentials_.entity;
    if (run.entity.empty()) {
      ASSIGN_OR_RETURN(run.entity, DefaultEntity(session));
    }
    return FindOnServer(session, run, reference_.which);
  }

  absl::StatusOr<std::string> Download(ServerSession& session, const NamedRun& run, const RemoteSearch& found) {
    const RemoteCheckpoint& checkpoint = *found.checkpoint;
    for (const std::string& part : {run.entity, run.project, found.run_id, checkpoint.key}) {
      if (!IsPathInside(part) || absl::StrContains(part, "/") || part[0] == '.') {
        return ConfigError(absl::StrCat("\"", part, "\" can be no folder's name"));
      }
    }
    const std::string folder =
        absl::StrCat(cache_, "/", run.entity, "/", run.project, "/", found.run_id, "/", checkpoint.key);
    constexpr int64_t kMegabyte = 1000000;  // as people count files
    std::unique_ptr<ProgressBar> bar;
    const absl::Status status = DownloadFiles(
        SystemFileOps(), session, checkpoint.files, folder, [&](int64_t done, int64_t total) -> absl::Status {
          if (*stop_) return PreemptedError("stopped by a signal while it was downloaded; nothing of it stays");
          if (bar == nullptr) {
            bar = std::make_unique<ProgressBar>(absl::StrCat("downloading ", reference_.text, ", MB"),
                                                total / kMegabyte, StandardErrorIsTerminal());
          }
          bar->Update(done / kMegabyte);
          return absl::OkStatus();
        });
    if (bar != nullptr) status.ok() ? bar->Finish() : bar->Abandon();
    if (ExitCodeOf(status) == ExitCode::kStorage) {
      return WithMessage(
          status, absl::StrCat(status.message(), "; free some space, or set XDG_CACHE_HOME to a folder ", "elsewhere"));
    }
    if (!status.ok()) return NamingCopies(status, run);
    return checkpoint.file.empty() ? folder : absl::StrCat(folder, "/", checkpoint.file);
  }

  // Not taken by themselves: what was named may be another one by now.
  absl::Status NamingCopies(const absl::Status& status, const NamedRun& run) const {
    if (ExitCodeOf(status) != ExitCode::kPeerLost) return status;
    const std::vector<std::string> copies = CachedCopies(cache_, run);
    if (copies.empty()) return status;
    return WithMessage(status, absl::StrCat(status.message(), "\nEarlier downloads of this ",
                                            "run or project, newest first, can be named by their paths:\n  ",
                                            absl::StrJoin(copies, "\n  ")));
  }

  const WandbReference& reference_;
  const LocalSearch& here_;
  const CheckpointServer& server_;
  const std::atomic<bool>* stop_;
  std::string cache_;
  WandbCredentials credentials_;
};

}  // namespace

absl::StatusOr<std::string> FindCheckpoint(std::string_view reference, const CheckpointServer& server) {
  if (!IsWandbReference(reference)) return ResolveCheckpoint(reference);
  ASSIGN_OR_RETURN(const WandbReference parsed, ParseWandbReference(reference));
  ASSIGN_OR_RETURN(const LocalSearch here, FindOnThisMachine(parsed));
  if (!here.path.empty()) return here.path;
  absl::StatusOr<std::string> path = Question(parsed, here, server).Answer();
  if (path.ok()) return path;
  return WithMessage(path.status(),
                     absl::StrCat("\"", parsed.text, "\": ", here.missing, "; ", path.status().message()));
}

}  // namespace cubist
