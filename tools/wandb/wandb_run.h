// One run of Weights & Biases, told to wandb-core, which stores it in <folder>/wandb/ and, online, uploads it.
//
// Rows have no step of their own there: the number in trainer/global_step is the x axis, as Lightning's logger has it,
// so that a run that goes on from an older checkpoint may log the same steps once more.
#ifndef CUBIST_TOOLS_WANDB_WANDB_RUN_H_
#define CUBIST_TOOLS_WANDB_WANDB_RUN_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/wandb/core_client.h"
#include "tools/wandb/credentials.h"

namespace wandb_internal {
class Record;
class Settings;
}  // namespace wandb_internal

namespace cubist {

// In the folder of a run of which not all is on the server.
inline constexpr char kIncompleteMark[] = "/incomplete";

struct WandbRunOptions {
  WandbCredentials credentials;  // the server; its mode is not kDisabled
  std::string entity, project;   // empty entity: the key's own
  std::string name;              // shown; need not be unique
  std::string id;                // RandomRunId(), or that of the run to go on with
  std::string resume;            // "", "allow", "must" or "never": whether the server may or must have a run `id`
  std::string group, job_type, notes;
  std::vector<std::string> tags;
  std::map<std::string, std::string> config;  // key -> JSON
  std::string folder;                         // the run is kept in <folder>/wandb/[offline-]run-<time>-<id>/
  bool system_metrics = false;                // of this process and machine: CPU, memory, GPUs
  std::chrono::milliseconds init_timeout = std::chrono::seconds(60);
  // How long Finish() may try to reach the server. What is not uploaded then is in the folder all the same.
  std::chrono::milliseconds finish_timeout = std::chrono::minutes(5);
  std::chrono::milliseconds send_deadline = std::chrono::seconds(30);
};

struct WandbArtifact {
  std::string name;  // of the collection; letters, digits, dashes, underscores and dots
  std::string type = "model";
  std::vector<std::pair<std::string, std::string>> files;  // path in the artifact, file
  std::vector<std::string> aliases;                        // "latest" has to be among them to be set
  std::string metadata = "{}";                             // JSON
  std::string own_alias = {};                              // of this version alone; may be empty
};

// Eight letters and digits, different for each call.
std::string RandomRunId();
// JSON of a number, with NaN, Infinity and -Infinity as wandb-core reads them, and of a text, in which bytes that are
// no UTF-8 are replaced.
std::string JsonNumber(double value);
std::string JsonText(const std::string& text);

// Any thread may call these, one at a time. Errors unless said otherwise: PeerLostError when wandb-core does not take
// what it is told; what it takes may still not reach the server: see Warnings().
class WandbRun {
 public:
  // Errors: ConfigError where the server has the run and must not, or the other way round; PeerLostError with the
  // server's or wandb-core's words; StorageErrors of the folder. After an error this wandb-core takes no run of that id
  // any more. `client` must outlive the run.
  static absl::StatusOr<std::unique_ptr<WandbRun>> Open(FileOps& ops, CoreClient& client,
                                                        const WandbRunOptions& options);

  // One row: the metrics, in any order, and trainer/global_step.
  absl::Status LogRow(int64_t step, const std::vector<std::pair<std::string, double>>& metrics);
  // A row with a picture, whose file is copied. DataError if it is no PNG file.
  absl::Status LogImage(const std::string& key, int64_t step, const std::string& png_path, const std::string& caption);
  // A line of what the program prints, without its newline.
  absl::Status LogConsole(const std::string& line);
  // A value of the run's summary, which replaces what the last row says of this key.
  absl::Status SetSummary(const std::string& key, const std::string& json);
  // Names the files, which may be removed then. `done` is called once by another thread: when they are uploaded, or,
  // offline, at once from here. Errors of StageFiles() (artifact_files.h), after which it is not called.
  absl::Status LogArtifact(const WandbArtifact& artifact, const std::atomic<bool>* stop,
                           std::function<void(const absl::Status&)> done);
  // What wandb-core has to say since the last call.
  absl::StatusOr<std::vector<std::string>> Warnings(std::chrono::milliseconds deadline);
  // Uploads the rest, for `deadline` at most, and ends the run; nothing may be told to it after. PeerLostError also if
  // not all was uploaded. The exit code 75 makes it a preempted run. `warnings` (may be null) gets what wandb-core has
  // to say of it; `look` (may be null) is called some times a second, and an error of it ends the upload.
  absl::Status Finish(int exit_code, std::chrono::milliseconds deadline, std::vector<std::string>* warnings = nullptr,
                      const std::function<absl::Status()>& look = nullptr);

  // wandb-core says nothing of a full disk: it loses what it cannot store. StorageError if a small file cannot be
  // written beside its log.
  absl::Status ProbeFolder();
  // Once wandb-core has ended: StorageError if the log in the folder is not whole up to the run's end.
  absl::Status CheckStored() const;
  // Leaves a mark in the folder by which wandb_sync knows that not all of the run is on the server.
  void MarkIncomplete();

  const std::string& id() const { return options_.id; }
  // What the server made of them; offline as they were given.
  const std::string& entity() const { return options_.entity; }
  const std::string& project() const { return options_.project; }
  const std::string& name() const { return options_.name; }
  bool resumed() const { return resumed_; }
  bool online() const { return options_.credentials.mode == WandbMode::kOnline; }
  const std::string& folder() const { return folder_; }
  // The run's page; empty offline.
  std::string Url() const;

 private:
  // PeerLostError if wandb-core gave up a picture or another file, of which it tells its log alone.
  absl::Status CheckFilesUploaded() const;
  WandbRun(FileOps& ops, CoreClient& client, const WandbRunOptions& options)
      : ops_(ops), client_(client), options_(options) {}
  absl::Status MakeFolders();
  void RemoveLeftArtifacts();
  void Describe(wandb_internal::Settings* settings) const;
  absl::Status Start();
  absl::Status StartRun();
  absl::Status DefineStepMetric();
  absl::Status Send(wandb_internal::Record record);
  absl::StatusOr<CoreClient::Response> Ask(wandb_internal::Record record, std::chrono::milliseconds deadline,
                                           const std::function<absl::Status()>& look = nullptr);
  absl::Status LogItems(int64_t step, const std::vector<std::pair<std::string, std::string>>& items);
  std::string LogFile() const;

  FileOps& ops_;
  CoreClient& client_;
  WandbRunOptions options_;
  std::string folder_;
  double start_time_ = 0;
  bool resumed_ = false;
  int64_t artifacts_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_WANDB_RUN_H_
