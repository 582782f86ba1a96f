// Telemetry of a run to Weights & Biases that never holds up or fails a training: one thread of its own sends what is
// put into a bounded queue.
//
// 1. The thread starts wandb-core and opens the run. Where the server cannot be reached or refuses the run, it opens
//    the run offline: nothing is lost, and wandb_sync uploads it later.
// 2. Once a second it sends what is in the queue, oldest first. A full queue loses its oldest rows (pictures are
//    counted apart, and lose the new one); the losses are counted and told. Artifacts have a queue of their own and are
//    uploaded one after the other; one that still waits gives way to a newer one that has all of its aliases.
// 3. When wandb-core dies it is started again, some times; the run goes on with what came since. What was sent stays in
//    the folder of the part of the run that died with it.
// 4. Finish() lets the queues drain and ends the run, within a grace time; what is not uploaded then is in the folder.
#ifndef CUBIST_TOOLS_WANDB_RUN_SENDER_H_
#define CUBIST_TOOLS_WANDB_RUN_SENDER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_ops.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/wandb/core_session.h"
#include "tools/wandb/wandb_run.h"

namespace cubist {

struct RunSenderOptions {
  std::string program;      // FindWandbCore()
  Environment environment;  // of this process
  WandbRunOptions run;
  size_t row_capacity = 10000;  // rows, lines and summary values
  size_t picture_capacity = 64;
  int core_starts = 4;  // how often wandb-core is started in all
  // Called by the sender's thread, and must not call the sender: when the run is open (again), and for each kind of
  // trouble once.
  std::function<void(const WandbRun& run)> opened;
  std::function<void(const std::string& line)> warn;
};

struct RunSenderReport {
  // All that was put in reached the server, or the run's folder if it was to be offline.
  bool complete = true;
  int64_t lost_rows = 0, lost_pictures = 0, lost_artifacts = 0;
};

// Any thread may call these. None but Finish() waits for anything, and none fails.
class RunSender {
 public:
  RunSender(FileOps& ops, RunSenderOptions options);
  // Without Finish(): gives up at once.
  ~RunSender();
  RunSender(const RunSender&) = delete;
  RunSender& operator=(const RunSender&) = delete;

  // As WandbRun has them.
  void LogRow(int64_t step, std::vector<std::pair<std::string, double>> metrics);
  void LogImage(std::string key, int64_t step, std::string png_path, std::string caption);
  void LogConsole(std::string line);
  void SetSummary(std::string key, std::string json);
  // The files must be there until the sender has given them second names: until `gone` is called, if there is one,
  // which is always called, also when the artifact is not sent. Where the run is offline, artifacts without
  // `when_offline` are left out, which is no loss.
  void LogArtifact(WandbArtifact artifact, bool when_offline, std::function<void()> gone = nullptr);

  // Sends the rest and ends the run, within `grace`; then nothing more is sent. The first call counts. `hurry` (may be
  // null) is called some times a second meanwhile; once it returns a time, no more than that is left.
  using Hurry = std::function<std::optional<std::chrono::milliseconds>()>;
  RunSenderReport Finish(int exit_code, std::chrono::milliseconds grace, const Hurry& hurry = nullptr);

 private:
  enum class Kind { kRow, kPicture, kArtifact };
  struct Item {
    Kind kind;
    std::function<absl::Status(WandbRun& run)> send;
    std::function<void()> gone = nullptr;   // when it was sent or lost; may be empty
    std::vector<std::string> aliases = {};  // of an artifact
  };
  // A wandb-core and the run in it, which ends first.
  struct Session {
    CoreSession core;
    std::unique_ptr<WandbRun> run;
  };

  void Put(Item item);
  void PutArtifact(Item item);
  absl::Status SendArtifact(WandbRun& run, const WandbArtifact& artifact, bool when_offline);
  std::optional<Item> Take();
  bool MayTakeArtifact() const { return !artifacts_.empty() && !uploading_; }
  void PutBack(Item item);
  void CountLost(Kind kind);
  void LoseQueue();

  // All below are of the thread alone.
  void Work();
  absl::Status RunSession();
  absl::Status OpenRun(Session& session);
  absl::Status SendUntilFinish(Session& session);
  void SendItem(Item item, WandbRun& run, absl::Status* ended);
  absl::Status End(Session& session);
  void SetClient(std::shared_ptr<CoreClient> client, bool opening);
  void LookAround(WandbRun& run);
  void TellWarnings(const std::vector<std::string>& warnings);
  void TellLosses();
  void TellStorage(const absl::Status& status);
  void Warn(const std::string& kind, const std::string& line);
  bool IsDrained();
  bool IsGraceOver();
  bool IsFinishing();
  std::chrono::milliseconds GraceLeft();

  FileOps& ops_;
  RunSenderOptions options_;
  std::atomic<bool> abandoned_ = false;
  std::set<std::string> told_;  // kinds of trouble
  bool was_open_ = false;
  std::chrono::steady_clock::time_point last_look_, last_probe_;

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<Item> queue_;
  size_t pictures_ = 0;         // in the queue
  std::deque<Item> artifacts_;  // that wait
  bool uploading_ = false;      // an artifact
  RunSenderReport report_;
  int64_t crowded_out_rows_ = 0, crowded_out_pictures_ = 0;  // of a full queue
  bool finishing_ = false;
  bool ended_ = false;    // the thread sends nothing more
  bool opening_ = false;  // it waits for the server to know the run
  int exit_code_ = 0;
  std::chrono::milliseconds grace_{0};
  std::chrono::steady_clock::time_point finish_by_;
  std::shared_ptr<CoreClient> client_;
  std::vector<std::string> artifact_errors_;

  std::thread thread_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_RUN_SENDER_H_
