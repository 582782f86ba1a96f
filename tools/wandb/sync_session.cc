#include "tools/wandb/sync_session.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/count_of.h"
#include "base/file_ops.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "tools/wandb/core_session.h"
#include "tools/wandb/credentials.h"
#include "tools/wandb/offline_sync.h"

namespace cubist {
namespace {

absl::Status FindAll(const SyncRequest& request, std::vector<SyncedRun>* runs) {
  for (const std::string& path : request.paths) {
    ASSIGN_OR_RETURN(const std::vector<OfflineRun> found, FindOfflineRuns(path));
    for (const OfflineRun& run : found) {
      runs->push_back({run.log, run.uploaded && !request.include_synced, std::nullopt, {}});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SyncAll(const std::string& argv0, const SyncRequest& request, std::vector<SyncedRun>* runs) {
  RETURN_IF_ERROR(FindAll(request, runs));
  int64_t to_do = 0;
  for (const SyncedRun& run : *runs) to_do += !run.skipped;
  if (to_do == 0) return absl::OkStatus();
  const Environment environment = CurrentEnvironment();
  SyncOptions options;
  ASSIGN_OR_RETURN(options.credentials, ReadWandbCredentials(environment));
  RETURN_IF_ERROR(CheckKeyForServer(options.credentials));
  options.entity = request.entity;
  options.project = request.project;
  const std::atomic<bool>* const stop = StopOnSignals();
  CoreProcessOptions core;
  ASSIGN_OR_RETURN(core.program, FindWandbCore(argv0, environment));
  core.environment = environment;
  core.folder = std::filesystem::path(runs->front().log).parent_path().string() + "/logs";
  core.stop = stop;
  ASSIGN_OR_RETURN(CoreSession session, CoreSession::Start(SystemFileOps(), core));
  ProgressBar bar(absl::StrCat("uploading ", CountOf(static_cast<uint64_t>(to_do), "run")), to_do,
                  StandardErrorIsTerminal());
  int64_t done = 0;
  absl::Status first;
  for (SyncedRun& run : *runs) {
    if (run.skipped) continue;
    run.status = UploadRun(
        SystemFileOps(), *session.client, run.log, options,
        [&run](const std::string& remark) { run.remarks.push_back(remark); },
        [&] {
          bar.Update(done);
          return *stop ? PreemptedError("stopped by a signal; upload the run again to complete it") : absl::OkStatus();
        });
    if (first.ok()) first = Annotate(*run.status, run.log);
    if (ExitCodeOf(*run.status) == ExitCode::kPreempted) {
      bar.Abandon();
      return *run.status;
    }
    bar.Update(++done);
  }
  bar.Finish();
  (void)session.End();  // all that it had to do is answered
  return first;
}

std::string SyncText(const std::vector<SyncedRun>& runs) {
  std::string text;
  for (const SyncedRun& run : runs) {
    absl::StrAppend(&text, run.log, ": ",
                    run.skipped               ? "uploaded already (--include_synced uploads it again)"
                    : !run.status.has_value() ? "not tried"
                    : run.status->ok()        ? "uploaded"
                                              : "not uploaded",
                    "\n");
    for (const std::string& remark : run.remarks) absl::StrAppend(&text, "  ", remark, "\n");
  }
  return text;
}

std::string SyncJson(const std::vector<SyncedRun>& runs) {
  nlohmann::json list = nlohmann::json::array();
  for (const SyncedRun& run : runs) {
    list.push_back({{"log", run.log},
                    {"state", run.skipped               ? "already_uploaded"
                              : !run.status.has_value() ? "not_tried"
                              : run.status->ok()        ? "uploaded"
                                                        : "failed"},
                    {"error", run.status.has_value() ? std::string(run.status->message()) : ""},
                    {"remarks", run.remarks}});
  }
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace cubist
