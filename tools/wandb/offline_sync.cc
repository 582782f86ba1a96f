#include "tools/wandb/offline_sync.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/wandb/transaction_log.h"
#include "tools/wandb/wandb_run.h"
#include "tools/wandb/wandb_settings.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
namespace pb = wandb_internal;

constexpr std::chrono::milliseconds kDeadline = std::chrono::seconds(60);
constexpr std::chrono::milliseconds kUploadDeadline = std::chrono::hours(48);
constexpr int kParallelism = 4;

absl::StatusOr<std::vector<std::string>> EntriesOf(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) paths.push_back(entry.path().string());
  if (error) return DataError(absl::StrCat(folder, ": cannot list: ", error.message()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::Status AddLogsIn(const std::string& folder, std::vector<OfflineRun>& runs) {
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, EntriesOf(folder));
  for (const std::string& path : entries) {
    std::error_code error;
    if (absl::EndsWith(path, ".wandb")) runs.push_back({path, fs::exists(path + ".synced", error)});
  }
  return absl::OkStatus();
}

// All errors of the answer as one.
absl::Status ErrorsOf(const google::protobuf::RepeatedPtrField<pb::ServerSyncMessage>& messages,
                      const std::function<void(const std::string&)>& remark) {
  std::vector<std::string> errors;
  for (const pb::ServerSyncMessage& message : messages) {
    if (message.severity() >= pb::ServerSyncMessage::SEVERITY_ERROR) {
      errors.push_back(message.content());
    } else {
      remark(message.content());
    }
  }
  return errors.empty() ? absl::OkStatus() : PeerLostError(absl::StrJoin(errors, "; "));
}

}  // namespace

absl::StatusOr<std::vector<OfflineRun>> FindOfflineRuns(const std::string& path) {
  std::vector<OfflineRun> runs;
  std::error_code error;
  if (fs::is_regular_file(path, error)) return std::vector<OfflineRun>{{path, fs::exists(path + ".synced", error)}};
  if (!fs::is_directory(path, error)) return ConfigError(absl::StrCat(path, ": there is no such run"));
  RETURN_IF_ERROR(AddLogsIn(path, runs));
  if (!runs.empty()) return runs;
  const std::string inner = path + "/wandb";
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, EntriesOf(fs::is_directory(inner, error) ? inner : path));
  bool was_online = false;
  for (const std::string& entry : entries) {
    if (!fs::is_directory(entry, error)) continue;
    const std::string name = fs::path(entry).filename().string();
    const bool online = absl::StartsWith(name, "run-");
    if (absl::StartsWith(name, "offline-run-") || (online && fs::exists(entry + kIncompleteMark, error))) {
      RETURN_IF_ERROR(AddLogsIn(entry, runs));
    }
    was_online = was_online || online;
  }
  if (!runs.empty()) return runs;
  if (was_online) {
    return ConfigError(absl::StrCat(path, ": all that was logged from here reached the server; to upload a part of it ",
                                    "once more, name its folder ", inner, "/run-*"));
  }
  return ConfigError(
      absl::StrCat(path, ": no run of Weights & Biases: neither a file *.wandb nor a folder offline-",
                   "run-* is in it or in its folder wandb; of a training with WANDB_DIR they are in that ", "folder"));
}

absl::Status UploadRun(FileOps& ops, CoreClient& client, const std::string& log, const SyncOptions& options,
                       const std::function<void(const std::string& text)>& remark,
                       const std::function<absl::Status()>& look) {
  // What wandb-core makes of a damaged one is not said.
  ASSIGN_OR_RETURN(const TransactionLogSummary summary,
                   ReadTransactionLog(log, [](std::string_view) { return absl::OkStatus(); }));
  if (summary.damaged_bytes > 0) {
    remark(absl::StrCat(log, ": ", summary.damaged_bytes, " bytes are damaged; the rest is uploaded"));
  }
  const std::string mark = log + ".synced";
  std::error_code error;
  const bool was_marked = fs::exists(mark, error);
  pb::ServerRequest start;
  pb::ServerInitSyncRequest* init = start.mutable_init_sync();
  init->add_path(log);
  init->set_new_entity(options.entity);
  init->set_new_project(options.project);
  SetServer(options.credentials, init->mutable_settings());
  init->mutable_settings()->mutable_init_timeout()->set_value(60);
  init->mutable_settings()->mutable_finish_timeout()->set_value(600);
  init->mutable_settings()->mutable_silent()->set_value(true);
  init->mutable_settings()->mutable_log_dir()->set_value(fs::path(log).parent_path().string() + "/logs");
  ASSIGN_OR_RETURN(const pb::ServerResponse started, client.Ask(start, kDeadline));
  pb::ServerRequest sync;
  sync.mutable_sync()->set_id(started.init_sync_response().id());
  sync.mutable_sync()->set_parallelism(kParallelism);
  ASSIGN_OR_RETURN(const pb::ServerResponse answer, client.Ask(sync, kUploadDeadline, look));
  const absl::Status status = ErrorsOf(answer.sync_response().messages(), remark);
  // It marks a run also when the server refused what is in it.
  if (!status.ok() && !was_marked) (void)ops.RemoveFile(mark);
  if (status.ok()) (void)ops.RemoveFile(fs::path(log).parent_path().string() + kIncompleteMark);
  return status;
}

}  // namespace cubist
