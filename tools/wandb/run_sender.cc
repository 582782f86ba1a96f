#include "tools/wandb/run_sender.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "base/status.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLookInterval = std::chrono::seconds(3);
constexpr milliseconds kProbeInterval = std::chrono::seconds(10);
constexpr milliseconds kHurryInterval(200);
constexpr milliseconds kPause(1000);  // between times of sending
constexpr milliseconds kPatienceAtEnd = std::chrono::seconds(10);
constexpr milliseconds kAnswerDeadline = std::chrono::seconds(30);
constexpr size_t kToldAtMost = 30;
constexpr int kNiceness = 10;

milliseconds Until(Clock::time_point time) {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(time - Clock::now()));
}

std::string SyncAdvice(const std::string& folder) {
  return absl::StrCat("it is in ", folder, ", and wandb_sync with this folder uploads it");
}

}  // namespace

RunSender::RunSender(FileOps& ops, RunSenderOptions options)
    : ops_(ops), options_(std::move(options)), last_look_(Clock::now()), last_probe_(last_look_), thread_([this] {
        Work();
      }) {}

RunSender::~RunSender() { Finish(1, milliseconds(0)); }

void RunSender::LogRow(int64_t step, std::vector<std::pair<std::string, double>> metrics) {
  Put({Kind::kRow, [step, metrics = std::move(metrics)](WandbRun& run) { return run.LogRow(step, metrics); }});
}

void RunSender::LogImage(std::string key, int64_t step, std::string png_path, std::string caption) {
  Put({Kind::kPicture, [key = std::move(key), step, path = std::move(png_path), caption = std::move(caption)](
                           WandbRun& run) { return run.LogImage(key, step, path, caption); }});
}

void RunSender::LogConsole(std::string line) {
  Put({Kind::kRow, [line = std::move(line)](WandbRun& run) { return run.LogConsole(line); }});
}

void RunSender::SetSummary(std::string key, std::string json) {
  Put({Kind::kRow,
       [key = std::move(key), json = std::move(json)](WandbRun& run) { return run.SetSummary(key, json); }});
}

void RunSender::LogArtifact(WandbArtifact artifact, bool when_offline, std::function<void()> gone) {
  std::vector<std::string> aliases = artifact.aliases;
  PutArtifact({Kind::kArtifact,
               [this, artifact = std::move(artifact), when_offline](WandbRun& run) {
                 return SendArtifact(run, artifact, when_offline);
               },
               std::move(gone), std::move(aliases)});
}

absl::Status RunSender::SendArtifact(WandbRun& run, const WandbArtifact& artifact, bool when_offline) {
  if (!run.online() && !when_offline) return absl::OkStatus();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    uploading_ = true;
  }
  const auto done = [this](const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    uploading_ = false;
    changed_.notify_all();
    if (status.ok()) return;
    CountLost(Kind::kArtifact);
    artifact_errors_.emplace_back(status.message());
  };
  const absl::Status status = run.LogArtifact(artifact, &abandoned_, done);
  if (!status.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    uploading_ = false;
  }
  return status;
}

void RunSender::CountLost(Kind kind) {
  report_.complete = false;
  ++(kind == Kind::kRow ? report_.lost_rows : kind == Kind::kPicture ? report_.lost_pictures : report_.lost_artifacts);
}

void RunSender::Put(Item item) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool picture = item.kind == Kind::kPicture;
    const bool full =
        picture ? pictures_ >= options_.picture_capacity : queue_.size() - pictures_ >= options_.row_capacity;
    if (!finishing_ && !ended_ && !(full && picture)) {
      if (full) {
        queue_.erase(
            std::find_if(queue_.begin(), queue_.end(), [](const Item& old) { return old.kind == Kind::kRow; }));
        CountLost(Kind::kRow);
        ++crowded_out_rows_;
      }
      if (picture) ++pictures_;
      queue_.push_back(std::move(item));
      // Else the thread comes by itself: a wake-up for each row would disturb the training.
      if (queue_.size() > options_.row_capacity / 2) changed_.notify_all();
      return;
    }
    CountLost(item.kind);
    if (full) ++crowded_out_pictures_;
  }
}

void RunSender::PutArtifact(Item item) {
  std::vector<Item> gone;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (finishing_ || ended_) {
      CountLost(Kind::kArtifact);
      gone.push_back(std::move(item));
    } else {
      const auto gives_way = [&item](const Item& old) {
        return std::all_of(old.aliases.begin(), old.aliases.end(), [&item](const std::string& alias) {
          return std::count(item.aliases.begin(), item.aliases.end(), alias) > 0;
        });
      };
      for (auto old = artifacts_.begin(); old != artifacts_.end();) {
        if (!gives_way(*old)) {
          ++old;
          continue;
        }
        gone.push_back(std::move(*old));
        old = artifacts_.erase(old);
      }
      artifacts_.push_back(std::move(item));
      changed_.notify_all();
    }
  }
  for (const Item& old : gone) {
    if (old.gone) old.gone();
  }
}

std::optional<RunSender::Item> RunSender::Take() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (queue_.empty() && !MayTakeArtifact()) {
    changed_.wait_for(lock, finishing_ ? kHurryInterval : kPause, [this] {
      return queue_.size() > options_.row_capacity / 2 || MayTakeArtifact() || (finishing_ && artifacts_.empty()) ||
             abandoned_;
    });
  }
  std::deque<Item>& queue = MayTakeArtifact() ? artifacts_ : queue_;
  if (queue.empty()) return std::nullopt;
  Item item = std::move(queue.front());
  queue.pop_front();
  if (item.kind == Kind::kPicture) --pictures_;
  return item;
}

void RunSender::PutBack(Item item) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (item.kind == Kind::kPicture) ++pictures_;
  (item.kind == Kind::kArtifact ? artifacts_ : queue_).push_front(std::move(item));
}

// All is sent, or there is no time for more than what wandb-core itself still holds.
bool RunSender::IsDrained() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return finishing_ && ((queue_.empty() && artifacts_.empty()) || Clock::now() > finish_by_ - grace_ / 4);
}

void RunSender::LoseQueue() {
  std::deque<Item> lost;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    lost.swap(queue_);
    pictures_ = 0;
    std::move(artifacts_.begin(), artifacts_.end(), std::back_inserter(lost));
    artifacts_.clear();
    for (const Item& item : lost) CountLost(item.kind);
    ended_ = true;
    changed_.notify_all();
  }
  for (const Item& item : lost) {
    if (item.gone) item.gone();
  }
}

bool RunSender::IsFinishing() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return finishing_;
}

// A last part of the grace is for wandb-core's own end.
bool RunSender::IsGraceOver() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Clock::now() > finish_by_ - grace_ / 8;
}

milliseconds RunSender::GraceLeft() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Until(finish_by_);
}

void RunSender::Warn(const std::string& kind, const std::string& line) {
  if (told_.size() >= kToldAtMost || !told_.insert(kind).second) return;
  if (options_.warn) options_.warn("Weights & Biases: " + line);
}

void RunSender::SetClient(std::shared_ptr<CoreClient> client, bool opening) {
  // The old one ends after the lock: its last answers may need that.
  const std::lock_guard<std::mutex> lock(mutex_);
  client_.swap(client);
  opening_ = opening;
  if (abandoned_ && client_ != nullptr) client_->Close();
  changed_.notify_all();
}

void RunSender::Work() {
  // Where training takes every core, it goes first. wandb-core inherits this from the thread that starts it.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
  const sched_param no_parameters = {};
  (void)::sched_setscheduler(0, SCHED_BATCH, &no_parameters);  // of this thread; it takes no core from who runs
  for (int left = options_.core_starts; left > 0 && !abandoned_;) {
    const absl::Status status = RunSession();
    SetClient(nullptr, false);
    if (status.ok()) break;
    std::unique_lock<std::mutex> lock(mutex_);
    report_.complete = false;
    if (ExitCodeOf(status) == ExitCode::kPreempted) continue;
    lock.unlock();
    --left;
    Warn("session", absl::StrCat(status.message(), left > 0 ? "; starting it again" : ""));
    if (left == 0) Warn("given up", "this run is logged there no more");
    lock.lock();
    if (left > 0) changed_.wait_for(lock, std::chrono::seconds(1), [this] { return finishing_; });
  }
  LoseQueue();
}

absl::Status RunSender::RunSession() {
  CoreProcessOptions process;
  process.program = options_.program;
  process.folder = options_.run.folder + "/wandb/core";
  process.environment = options_.environment;
  process.stop = &abandoned_;
  Session session;
  ASSIGN_OR_RETURN(session.core, CoreSession::Start(ops_, process));
  absl::Status status = OpenRun(session);
  if (status.ok()) status = SendUntilFinish(session);
  if (status.ok()) return End(session);
  if (session.run != nullptr) session.run->MarkIncomplete();
  // What it can still do with what it holds.
  const std::string end = session.core.process->End().value_or("");
  return Annotate(
      status, absl::StrCat(end.empty() ? "" : absl::StrCat("wandb-core ", end, "; "),
                           session.run == nullptr ? "no run was opened"
                                                  : "of what was sent so far, " + SyncAdvice(session.run->folder())));
}

absl::Status RunSender::OpenRun(Session& session) {
  WandbRunOptions options = options_.run;
  // The server has it from this process: it is gone on with.
  if (was_open_ && options.resume.empty()) options.resume = "allow";
  const bool online = options.credentials.mode == WandbMode::kOnline;
  SetClient(session.core.client, /*opening=*/online);
  absl::StatusOr<std::unique_ptr<WandbRun>> run = WandbRun::Open(ops_, *session.core.client, options);
  SetClient(session.core.client, /*opening=*/false);
  if (run.ok()) {
    session.run = *std::move(run);
    was_open_ = true;
    if (options_.opened) options_.opened(*session.run);
    return absl::OkStatus();
  }
  // Finish() closes the connection; if nobody did, the server refused. Else wandb-core died, which another one may not.
  const bool gave_up = session.core.client->closed();
  if (!online || (gave_up && !IsFinishing()) || ExitCodeOf(run.status()) == ExitCode::kStorage) return run.status();
  // wandb-core's first line; the others advise users of its Python package.
  const std::string said(run.status().message().substr(0, run.status().message().find('\n')));
  Warn("server",
       absl::StrCat(options_.run.credentials.base_url, ": ", gave_up ? "the server did not answer in time" : said,
                    "; the run goes on offline, and wandb_sync uploads it"));
  options_.run.credentials.mode = WandbMode::kOffline;
  return PreemptedError("to be opened offline");
}

absl::Status RunSender::SendUntilFinish(Session& session) {
  while (!abandoned_) {
    if (IsDrained()) return absl::OkStatus();
    std::optional<Item> item = Take();
    if (item.has_value()) {
      absl::Status ended;
      SendItem(*std::move(item), *session.run, &ended);
      RETURN_IF_ERROR(ended);
    }
    if (session.core.client->closed()) return PeerLostError("the connection ended");
    if (Clock::now() - last_look_ >= kLookInterval) LookAround(*session.run);
  }
  return PreemptedError("there was no time left");
}

void RunSender::SendItem(Item item, WandbRun& run, absl::Status* ended) {
  const absl::Status status = item.send(run);
  if (ExitCodeOf(status) == ExitCode::kPeerLost) {
    *ended = status;
    return PutBack(std::move(item));
  }
  if (!status.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    CountLost(item.kind);
  }
  if (ExitCodeOf(status) == ExitCode::kStorage) {
    TellStorage(status);
  } else if (!status.ok()) {
    Warn("item", absl::StrCat("left out: ", status.message()));
  }
  if (item.gone) item.gone();
}

void RunSender::LookAround(WandbRun& run) {
  last_look_ = Clock::now();
  // When there is no time it is told with the end.
  const auto warnings = run.Warnings(IsFinishing() ? std::min(kAnswerDeadline, GraceLeft() / 8) : kAnswerDeadline);
  if (warnings.ok()) TellWarnings(*warnings);
  TellLosses();
  if (last_look_ - last_probe_ < kProbeInterval && !IsFinishing()) return;
  last_probe_ = last_look_;
  TellStorage(run.ProbeFolder());
}

void RunSender::TellStorage(const absl::Status& status) {
  if (status.ok()) return;
  Warn("storage", absl::StrCat("what is logged may be lost: ", status.message()));
  const std::lock_guard<std::mutex> lock(mutex_);
  report_.complete = false;
}

void RunSender::TellWarnings(const std::vector<std::string>& warnings) {
  for (const std::string& text : warnings) Warn("said: " + text, text);
}

void RunSender::TellLosses() {
  int64_t rows = 0, pictures = 0;
  std::vector<std::string> artifact_errors;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    rows = crowded_out_rows_;
    pictures = crowded_out_pictures_;
    artifact_errors.swap(artifact_errors_);
  }
  for (const std::string& error : artifact_errors) Warn("artifact", error);
  if (rows > 0) {
    Warn("rows", absl::StrCat("it takes rows more slowly than they come; the oldest are left out there (",
                              CountOf(static_cast<uint64_t>(rows), "row"), " so far)"));
  }
  if (pictures > 0) Warn("pictures", "it takes pictures more slowly than they come; some are left out");
}

absl::Status RunSender::End(Session& session) {
  int exit_code = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    exit_code = exit_code_;
  }
  TellStorage(session.run->ProbeFolder());
  std::vector<std::string> warnings;
  const auto look = [this] { return IsGraceOver() ? PeerLostError("there was no time left") : absl::OkStatus(); };
  const absl::Status finished = session.run->Finish(exit_code, GraceLeft(), &warnings, look);
  if (finished.ok()) TellWarnings(warnings);  // else they say the same
  TellLosses();
  if (!finished.ok()) {
    session.run->MarkIncomplete();
    Warn("end", absl::StrCat("not all of the run is on the server (", finished.message(),
                             "): ", SyncAdvice(session.run->folder())));
    const std::lock_guard<std::mutex> lock(mutex_);
    report_.complete = false;
  }
  // What is on the server need not be here as well.
  if (session.core.End(exit_code, GraceLeft()).ok() && (!finished.ok() || !session.run->online())) {
    TellStorage(session.run->CheckStored());
  }
  return absl::OkStatus();
}

RunSenderReport RunSender::Finish(int exit_code, milliseconds grace, const Hurry& hurry) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!finishing_) {
      finishing_ = true;
      exit_code_ = exit_code;
      grace_ = grace;
      finish_by_ = Clock::now() + grace;
      changed_.notify_all();
    }
    while (!ended_ && Clock::now() < finish_by_) {
      changed_.wait_until(lock, std::min(finish_by_, Clock::now() + kHurryInterval), [this] { return ended_; });
      if (const auto left = hurry ? hurry() : std::nullopt; left.has_value() && Clock::now() + *left < finish_by_) {
        grace_ = *left;
        finish_by_ = Clock::now() + grace_;
        changed_.notify_all();
      }
      // A server that has not answered all the time is waited for a little; then what there is goes into the folder.
      const Clock::time_point opened_by = finish_by_ - grace_ + std::min(grace_ / 2, kPatienceAtEnd);
      if (!ended_ && opening_ && client_ != nullptr && Clock::now() > opened_by) client_->Close();
    }
    if (!ended_) {
      abandoned_ = true;
      report_.complete = false;
      changed_.notify_all();
      if (client_ != nullptr) client_->Close();
    }
  }
  if (thread_.joinable()) thread_.join();
  const std::lock_guard<std::mutex> lock(mutex_);
  return report_;
}

}  // namespace cubist
