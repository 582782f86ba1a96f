// A training run at Weights & Biases: what the run's logger passes on, in the form of the reference's runs there.
//
// Nothing here waits for the server or fails a step (tools/wandb/run_sender.h). For one thread, the training's; what
// the sender has to say is fetched by TakeLines().
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_WANDB_LOGGER_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_WANDB_LOGGER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/proto/experiment.pb.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/logging/metrics_writer.h"
#include "tools/wandb/credentials.h"
#include "tools/wandb/run_identity.h"
#include "tools/wandb/run_sender.h"

namespace cubist {

struct WandbLoggerOptions {
  std::string wandb_core;   // FindWandbCore()
  Environment environment;  // of this process
  std::string run_folder;
  Experiment config;   // resolved; all of it becomes the run's config, by paths ("optimizer/beta1")
  std::string run_id;  // of the run that the training's checkpoint belongs to; empty: it belongs to none
};

// A checkpoint that has just been saved.
struct SavedCheckpoint {
  int64_t step = 0;
  std::string folder;
  bool is_best = false;         // the first one since the lowest val_loss so far
  bool is_final = false;        // the run is done with it
  std::string metadata = "{}";  // JSON
};

class WandbLogger {
 public:
  // Null with WANDB_MODE=disabled. The run is that of `run_id`, else the one which wandb_run.json in the folder names,
  // else a new one; a run that is known goes on in the entity and project of that file, unless the config names others,
  // which is told. Errors: ConfigErrors of the environment and for a missing key; DataError for a wandb_run.json that
  // is none.
  static absl::StatusOr<std::unique_ptr<WandbLogger>> Start(FileOps& ops, WandbLoggerOptions options);

  const std::string& run_id() const { return run_id_; }

  void Row(int64_t step, const Metrics& metrics) { sender_->LogRow(step, metrics); }
  // `path`: of a PNG file, which stays.
  void Picture(int64_t step, const std::string& tag, const std::string& path) {
    sender_->LogImage(tag, step, path, "");
  }
  // What the training prints.
  void Line(const std::string& line) { sender_->LogConsole(line); }
  // Uploads it if it is due by Experiment.logging.wandb; the folder may be removed any time.
  void Saved(const SavedCheckpoint& checkpoint);

  // What there is to say to the user since the last call.
  std::vector<std::string> TakeLines();

  // Ends the run there as `code` says. After a run that is done it uploads for Wandb.finish_minutes at most, in which
  // `look` is called some times a second: once it returns true, and after a run that was stopped, there are
  // Wandb.grace_seconds left. Returns what became of all that was logged.
  RunSenderReport Finish(ExitCode code, const std::function<bool()>& look);

 private:
  WandbLogger(FileOps& ops, WandbLoggerOptions options);
  void Open(const WandbCredentials& credentials, const std::optional<WandbRunIdentity>& known);
  void Say(const std::string& line);
  bool IsDue(const SavedCheckpoint& checkpoint) const;

  FileOps& ops_;
  const WandbLoggerOptions options_;
  std::string run_id_;
  const std::string uploads_;  // folder with second names of what is being uploaded
  int64_t uploads_begun_ = 0;
  bool upload_checkpoints_;
  const std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point uploaded_at_;
  std::mutex mutex_;  // of what follows
  std::vector<std::string> lines_;
  std::string server_;                 // whose answer is waited for, until that is told
  std::unique_ptr<RunSender> sender_;  // the last member: its thread uses the others
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_WANDB_LOGGER_H_
