#include "tools/slurm/slot.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "base/subprocess.h"
#include "tools/slurm/job_log.h"
#include "tools/slurm/node_exits.h"
#include "tools/slurm/slot_decision.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_commands.h"
#include "tools/slurm/slurm_folder.h"
#include "tools/training/checkpoint/run_lock.h"

namespace cubist {
namespace {

using slurm::SlotEvent;

constexpr int kGoOnLater = static_cast<int>(ExitCode::kPreempted);
constexpr int kQuestions = 3;

// A job that SLURM starts again after a node failed says nothing of that; srun does.
constexpr char kNodeFailure[] = "srun: error: Node failure on ";

// When the last of the files in a folder was written to, in seconds since 1970; 0 if there is none.
double LastWriteTime(const std::string& folder) {
  double last = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    struct stat info;
    if (stat(entry->path().c_str(), &info) == 0) last = std::max(last, static_cast<double>(info.st_mtim.tv_sec));
  }
  return last;
}

void Say(const std::string& line) {
  std::printf("slurm_launch: %s\n", line.c_str());
  std::fflush(stdout);
}

int Positive(const Environment& environment, const char* name, int absent) {
  const auto found = environment.find(name);
  int value = 0;
  return found != environment.end() && absl::SimpleAtoi(found->second, &value) && value >= 0 ? value : absent;
}

std::string Text(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// A lock that another slot holds is given some time: a job that was requeued may start while its old processes end.
absl::StatusOr<std::unique_ptr<RunLock>> WaitForLock(const std::string& path, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    absl::StatusOr<std::unique_ptr<RunLock>> lock = RunLock::Acquire(path);
    if (lock.ok() || std::chrono::steady_clock::now() >= deadline) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// Blocks the signals that a slot waits for; srun gets them unblocked.
sigset_t BlockSignals() {
  sigset_t waited;
  sigemptyset(&waited);
  for (const int number : {SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&waited, number);
  sigprocmask(SIG_BLOCK, &waited, nullptr);
  return waited;
}

std::string SignalName(int number) {
  if (number == SIGUSR1) return "USR1";
  if (number == SIGTERM) return "TERM";
  return number == SIGINT ? "INT" : "HUP";
}

// "logs/latest" is for people; a run does without.
void LinkLatest(const SlurmFolder& folder, int slot) {
  const std::string target = std::filesystem::path(folder.logs_path(slot)).filename().string();
  const std::string temporary = absl::StrCat(folder.latest_logs_path(), ".tmp-", getpid());
  unlink(temporary.c_str());
  if (symlink(target.c_str(), temporary.c_str()) != 0 ||
      rename(temporary.c_str(), folder.latest_logs_path().c_str()) != 0) {
    Say(absl::StrCat("cannot link ", folder.latest_logs_path(), ": ", ErrnoText(errno)));
    unlink(temporary.c_str());
  }
}

// The file that this process, the batch script, prints to; empty if it is none.
std::string OwnLog() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/fd/1", error);
  return error || !std::filesystem::is_regular_file(path, error) ? "" : path.string();
}

class SlotRunner {
 public:
  SlotRunner(std::string run_folder, const std::vector<std::string>& command, const Environment& environment,
             const SlotOptions& options)
      : folder_(std::move(run_folder)), command_(command), environment_(environment), options_(options) {}

  absl::StatusOr<int> Run() {
    job_ = OwnJob(environment_);
    if (job_.empty()) {
      return ConfigError(
          "slot is what the batch script of a job calls (there is no SLURM_JOB_ID): submit it with "
          "slurm_launch");
    }
    restart_ = Positive(environment_, "SLURM_RESTART_COUNT", 0);
    nodes_ = Positive(environment_, "SLURM_JOB_NUM_NODES", Positive(environment_, "SLURM_NNODES", 1));
    waited_ = BlockSignals();
    ASSIGN_OR_RETURN(const std::unique_ptr<RunLock> lock, WaitForLock(folder_.lock_path(), options_.lock_wait));
    RETURN_IF_ERROR(ReadLedger());
    if (chain_.ended.has_value()) {
      Say(absl::StrCat("nothing to do, the chain has ended: ", chain_.ended->reason()));
      return 0;
    }
    RETURN_IF_ERROR(CloseLastSlot());
    Verdict verdict = LookAtPredecessor();
    if (verdict.kind == Verdict::GO_ON) {
      ASSIGN_OR_RETURN(verdict, LookAtCheckpoints());
    }
    if (verdict.kind == Verdict::GO_ON) verdict = Decide(chain_);
    if (verdict.kind != Verdict::GO_ON) return EndChain(verdict);
    slots_before_ = static_cast<int>(chain_.slots.size());
    absl::Status begun = SubmitSuccessor();
    if (begun.ok()) begun = Start();
    if (!begun.ok()) return GiveUp(begun);
    Supervise();
    return Finish();
  }

 private:
  absl::Status ReadLedger() {
    ASSIGN_OR_RETURN(const std::vector<SlotEvent> events, ReadSlotEvents(folder_.ledger_path()));
    const std::vector<SlotChain> chains = ChainsOf(events);
    if (chain_number_ == 0) chain_number_ = chains.size();
    if (chain_number_ > 0 && chain_number_ <= chains.size()) chain_ = chains[chain_number_ - 1];
    slot_ = 0;
    for (const SlotChain& chain : chains) {
      slot_ += static_cast<int>(chain.slots.size());
      for (const Slot& slot : chain.slots) {
        if (slot.ended.has_value()) last_step_ = slot.ended->step();
      }
    }
    return absl::OkStatus();
  }

  absl::Status Record(const SlotEvent& event) {
    RETURN_IF_ERROR(AppendSlotEvent(SystemFileOps(), folder_.ledger_path(), event));
    return ReadLedger();
  }

  // What SLURM knows of a job; nothing where it does not answer for a while.
  std::optional<JobState> Ask(const std::string& job) {
    for (int i = 0; i < kQuestions; ++i) {
      if (i > 0) std::this_thread::sleep_for(options_.query_pause);
      const absl::StatusOr<JobState> state = QueryJob(job);
      if (state.ok()) return *state;
      Say(std::string(state.status().message()));
    }
    return {};
  }

  // Step 2.
  absl::Status CloseLastSlot() {
    if (chain_.slots.empty() || chain_.slots.back().ended.has_value()) return absl::OkStatus();
    const Slot& last = chain_.slots.back();
    SlotEvidence evidence;
    for (const std::string& signal : last.signals) {
      evidence.warned |= signal == "USR1";
      evidence.asked_to_stop |= signal == "TERM";
    }
    // Its batch script recorded no end: it was killed.
    evidence.exit_code =
        NodeExits::Read(folder_.logs_path(last.started.slot())).Combined(last.started.node_count(), true);
    // A job that SLURM has started again itself is this one, and no longer says how it ended before.
    if (last.started.job() != job_) {
      asked_ = last.started.job();
      const JobState state = Ask(asked_).value_or(JobState());
      evidence.state = state.EndState();
      if (!evidence.exit_code.has_value() && (state.state == "COMPLETED" || state.state == "FAILED")) {
        evidence.exit_code = state.exit_code;
      }
    }
    if (evidence.state.empty()) evidence.state = EndStateInLog(last);
    if (evidence.state.empty() && LaunchLogSays(last, kNodeFailure)) evidence.state = "NODE_FAIL";
    return RecordEnd(evidence, last, LastWriteTime(folder_.logs_path(last.started.slot())));
  }

  // The job whose end this one waited for: cancelled while it waited in the queue to start again, it says so to nobody
  // but SLURM; and what SLURM no longer knows of a job that waited was cancelled too, as nothing else ends those.
  Verdict LookAtPredecessor() {
    for (const SlotEvent& submission : chain_.submissions) {
      const std::string& before = submission.after();
      if (submission.job() != job_ || before.empty() || before == job_ || before == asked_) continue;
      const std::optional<JobState> state = Ask(before);
      if (!state.has_value()) continue;  // that nobody answers says nothing of it
      const bool was_waiting = chain_.requeued == before;
      if (state->EndState() == "CANCELLED" || (was_waiting && !state->is_known())) {
        return {Verdict::STOP, absl::StrCat("job ", before, " was cancelled while it waited to go on")};
      }
    }
    return {};
  }

  // Step 3.
  absl::StatusOr<Verdict> LookAtCheckpoints() {
    const auto deadline = std::chrono::steady_clock::now() + options_.checkpoint_wait;
    ASSIGN_OR_RETURN(int64_t newest, NewestStep(folder_));
    const bool may_fall_back = std::find(command_.begin(), command_.end(), "--allow_fallback") != command_.end();
    while (newest < last_step_ && !may_fall_back && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      ASSIGN_OR_RETURN(newest, NewestStep(folder_));
    }
    if (newest < last_step_ && !may_fall_back) {
      return Verdict{Verdict::STOP, absl::StrCat("the last slot left a checkpoint of step ", last_step_,
                                                 ", and the newest in ", folder_.checkpoints_path(), " is ",
                                                 newest == 0 ? "none" : absl::StrCat("of step ", newest),
                                                 ": with --allow_fallback in the command the run goes on from there")};
    }
    const int64_t known_good = chain_.slots.empty() ? 0 : chain_.slots.back().started.step();
    ASSIGN_OR_RETURN(step_, NewestVerifiedStep(folder_, known_good));
    if (chain_.slots.empty() || chain_.slots.back().ended->step() <= step_) return Verdict();
    SlotEvent corrected = *chain_.slots.back().ended;
    corrected.set_step(static_cast<int32_t>(step_));
    RETURN_IF_ERROR(Record(corrected));
    return Verdict();
  }

  bool LaunchLogSays(const Slot& slot, const char* words) const {
    const auto text = ReadWholeFile(folder_.logs_path(slot.started.slot()) + "/launch.log");
    return text.ok() && absl::StrContains(*text, words);
  }

  // `end_time`: where that was found out later, else 0.
  absl::Status RecordEnd(SlotEvidence evidence, const Slot& slot, double end_time = 0) {
    evidence.cancel_requested = chain_.cancel_requested;
    const SlotEnding ending = EndingOf(evidence);
    SlotEvent event;
    event.set_event(SlotEvent::ENDED);
    event.set_slot(slot.started.slot());
    event.set_job(slot.started.job());
    event.set_ending(ending.ending);
    event.set_reason(ending.reason);
    if (evidence.exit_code.has_value()) event.set_exit_code(*evidence.exit_code);
    if (!evidence.state.empty()) event.set_state(evidence.state);
    if (end_time > slot.started.time()) event.set_end_time(end_time);
    ASSIGN_OR_RETURN(const int64_t step, NewestStep(folder_));
    event.set_step(static_cast<int32_t>(step));
    Say(absl::StrCat("slot ", event.slot(), " ended: ", event.reason(), "; step ", slot.started.step(), " -> ", step));
    return Record(event);
  }

  // Step 4.
  absl::Status SubmitSuccessor() {
    const SlotEvent& limits = chain_.launched;
    may_follow_ = !limits.has_iterations() || slots_before_ + 1 < limits.iterations();
    if (!may_follow_) return absl::OkStatus();
    for (const SlotEvent& submission : chain_.submissions) {
      if (submission.after() != job_) continue;
      if (Ask(submission.job()).value_or(JobState()).is_waiting()) {
        successor_ = submission.job();
        return absl::OkStatus();
      }
    }
    return Submit({absl::StrCat("--dependency=afterany:", job_)});
  }

  // What a cluster does not let a job submit is no reason to lose a slot; the job can still be requeued.
  absl::Status Submit(const std::vector<std::string>& options) {
    const absl::StatusOr<std::string> job = SubmitScript(folder_.path(), options, "slot.sh");
    if (!job.ok()) {
      Say(absl::StrCat("warning: no job follows if this one is killed: ", std::string(job.status().message())));
      return absl::OkStatus();
    }
    successor_ = *job;
    SlotEvent event;
    event.set_event(SlotEvent::SUBMITTED);
    event.set_job(*job);
    event.set_after(job_);
    return Record(event);
  }

  // Step 5.
  absl::Status Start() {
    const int slot = slot_ + 1;
    const std::string logs = folder_.logs_path(slot);
    RETURN_IF_ERROR(MakeDirectories(SystemFileOps(), logs));
    LinkLatest(folder_, slot);
    SlotEvent event;
    event.set_event(SlotEvent::STARTED);
    event.set_slot(slot);
    event.set_job(job_);
    if (restart_ > 0) event.set_restart(restart_);
    event.set_nodes(Text(environment_, "SLURM_JOB_NODELIST"));
    event.set_node_count(nodes_);
    event.set_log(OwnLog());
    event.set_step(static_cast<int32_t>(step_));
    RETURN_IF_ERROR(Record(event));
    const std::string path = logs + "/launch.log";
    output_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (output_ < 0) return StorageError(absl::StrCat("cannot open ", path, ": ", ErrnoText(errno)));
    std::vector<std::string> command = command_;
    command.insert(command.end(), {"--log_dir", logs});
    Say(absl::StrCat(SlotHeading(slot), "goes on from step ", step_, " on ", event.nodes(), "; its output: ", logs));
    ASSIGN_OR_RETURN(srun_, StartSubprocess(command, output_));
    return absl::OkStatus();
  }

  void Supervise() {
    while (true) {
      int status = 0;
      const pid_t ended = waitpid(srun_, &status, WNOHANG);
      if (ended == srun_) {
        srun_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        close(output_);
        return;
      }
      int number = 0;
      if (sigwait(&waited_, &number) != 0 || number == SIGCHLD) continue;
      // The nodes first, every second counts.
      kill(srun_, SIGUSR1);
      SlotEvent event;
      event.set_event(SlotEvent::SIGNALLED);
      event.set_slot(chain_.slots.back().started.slot());
      event.set_job(job_);
      event.set_signal(SignalName(number));
      Say(absl::StrCat("signal ", event.signal(), ": the run saves and ends"));
      // Without a note the run can still save.
      if (const absl::Status recorded = Record(event); !recorded.ok()) Say(std::string(recorded.message()));
      if (number == SIGUSR1) {
        evidence_.warned = true;
        // SLURM may have been too busy at the start.
        if (successor_.empty() && may_follow_) SubmitSuccessor().IgnoreError();
      } else {
        evidence_.asked_to_stop = true;
        LookAtJob();
      }
    }
  }

  // What SLURM is about to do with this job.
  void LookAtJob() {
    // The log first: it is quick, and SLURM's seconds may be counted.
    evidence_.state = EndStateInLog(chain_.slots.back());
    job_goes_on_ = false;
    if (!evidence_.state.empty()) return;
    const JobState state = Ask(job_).value_or(JobState());
    job_goes_on_ = state.state == "RUNNING";
    if (!job_goes_on_) evidence_.state = state.EndState();
  }

  std::string EndStateInLog(const Slot& slot) const {
    const auto text = ReadWholeFile(slot.started.log());
    return text.ok() ? EndStateInJobLog(*text, slot.started.slot()) : "";
  }

  // Step 6.
  absl::StatusOr<int> Finish() {
    RETURN_IF_ERROR(ReadLedger());  // it may have been cancelled meanwhile
    const Slot last = chain_.slots.back();
    const bool was_signalled = evidence_.warned || evidence_.asked_to_stop;
    evidence_.exit_code = NodeExits::Read(folder_.logs_path(last.started.slot())).Combined(nodes_, was_signalled);
    // A signal in its first moments ends srun itself.
    if (!evidence_.exit_code.has_value() && !was_signalled) evidence_.srun_code = srun_code_;
    // Once more: what comes of a job shows late.
    if (evidence_.asked_to_stop && evidence_.state.empty()) LookAtJob();
    // Also of a job that outlives its nodes (--no-kill).
    if (evidence_.state.empty() && LaunchLogSays(last, kNodeFailure)) evidence_.state = "NODE_FAIL";
    const bool is_ended_by_slurm = evidence_.asked_to_stop && !job_goes_on_;
    const bool can_be_told = !successor_.empty();
    if (is_ended_by_slurm && can_be_told && evidence_.state.empty() && evidence_.exit_code.value_or(kGoOnLater) != 0) {
      // Cancelled by a user, or preempted, or on a node that failed: the next job is told.
      Say("SLURM ends this job and does not say why yet; the next one finds out");
      return kGoOnLater;
    }
    RETURN_IF_ERROR(RecordEnd(evidence_, last));
    const Verdict verdict = Decide(chain_);
    if (verdict.kind != Verdict::GO_ON) return EndChain(verdict);
    // A cancelled job must not be brought back to life, which SLURM would do.
    LookAtJob();
    if (evidence_.state == "CANCELLED") return EndChain({Verdict::STOP, "its job was cancelled"});
    const bool has_no_successor = successor_.empty();
    const bool may_requeue = job_goes_on_ || (has_no_successor && evidence_.state == "TIMEOUT");
    if (!may_requeue) return kGoOnLater;
    const absl::Status requeued = RequeueJob(job_);
    if (requeued.ok()) {
      SlotEvent event;
      event.set_event(SlotEvent::REQUEUED);
      event.set_job(job_);
      Record(event).IgnoreError();
      return kGoOnLater;
    }
    Say(absl::StrCat(std::string(requeued.message()), "; the next job goes on instead"));
    if (successor_.empty()) RETURN_IF_ERROR(Submit({}));
    if (successor_.empty())
      return EndChain({Verdict::STOP, "this job cannot be requeued, and no other one be submitted"});
    return kGoOnLater;
  }

  absl::StatusOr<int> EndChain(const Verdict& verdict) {
    SlotEvent event;
    event.set_event(SlotEvent::CHAIN_ENDED);
    event.set_reason(verdict.reason);
    if (!chain_.ended.has_value()) RETURN_IF_ERROR(Record(event));
    Say(absl::StrCat(verdict.kind == Verdict::DONE ? "" : "no further slot: ", verdict.reason));
    // One that is not cancelled starts, finds this event, and ends.
    CancelSuccessor();
    if (verdict.kind == Verdict::DONE) return 0;
    const int code = chain_.slots.empty() ? 0 : chain_.slots.back().ended->exit_code();
    return code == 0 ? kGoOnLater : code;
  }

  // Work cannot start, and would not in the next job either: each would submit one more, without end.
  absl::Status GiveUp(const absl::Status& why) {
    SlotEvent event;
    event.set_event(SlotEvent::CHAIN_ENDED);
    event.set_reason(absl::StrCat("a slot cannot start: ", std::string(why.message())));
    Record(event).IgnoreError();
    CancelSuccessor();
    return why;
  }

  void CancelSuccessor() {
    if (successor_.empty()) {
      for (const SlotEvent& submission : chain_.submissions) {
        if (submission.after() == job_) successor_ = submission.job();
      }
    }
    if (successor_.empty()) return;
    if (const absl::Status cancelled = CancelJobs({successor_}); !cancelled.ok()) Say(std::string(cancelled.message()));
  }

  const SlurmFolder folder_;
  const std::vector<std::string>& command_;
  const Environment& environment_;
  const SlotOptions options_;
  std::string job_;  // as OwnJob() names it
  int restart_ = 0;
  int nodes_ = 1;
  sigset_t waited_;
  SlotChain chain_;          // of this slot
  size_t chain_number_ = 0;  // in the ledger, from 1: the run may be launched again while this job still ends
  int slot_ = 0;             // slots in the ledger
  int32_t last_step_ = 0;    // that a slot of the ledger left last
  int slots_before_ = 0;     // of this chain
  bool may_follow_ = true;   // -i allows another slot
  int64_t step_ = 0;         // of the newest checkpoint that verifies
  std::string successor_;    // job that waits for the end of this one; empty: none
  pid_t srun_ = 0;
  int output_ = -1;  // launch.log
  int srun_code_ = 0;
  std::string asked_;  // job whose end was found out
  SlotEvidence evidence_;
  bool job_goes_on_ = true;  // SLURM does not end it by itself
};

}  // namespace

absl::StatusOr<int> RunSlot(const std::string& run_folder, const std::vector<std::string>& command,
                            const Environment& environment, const SlotOptions& options) {
  return SlotRunner(run_folder, command, environment, options).Run();
}

}  // namespace cubist
