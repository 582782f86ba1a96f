#include "tools/slurm/run_status.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/command_line.h"
#include "base/count_of.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "configs/loader.h"
#include "configs/message_loader.h"
#include "configs/proto/launch.pb.h"
#include "tools/slurm/chain_jobs.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_folder.h"
#include "tools/slurm/time_limit.h"
#include "tools/training/checkpoint/checkpoint_store.h"

namespace cubist {
namespace {

using slurm::SlotEvent;

bool Exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

// "2026-11-23 05:49", in the time zone of who looks.
std::string LocalTime(double seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local = {};
  localtime_r(&time, &local);
  char text[32] = {};
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &local);
  return text;
}

// When a slot's work ended.
double EndTime(const SlotEvent& ended) { return ended.has_end_time() ? ended.end_time() : ended.time(); }

// All that is known of a run.
struct Overview {
  std::vector<SlotChain> chains;
  std::vector<ChainJob> jobs;
  std::string slurm_error;  // why `jobs` is not known
  Launch launch;
  int64_t step = 0;                  // of the newest checkpoint
  std::optional<int64_t> max_steps;  // of the run
  double hours = 0;                  // of all slots
  double rate = 0;                   // steps an hour, over slots that ended; 0: not known

  const SlotChain& chain() const { return chains.back(); }
};

void AddUp(double now, Overview* overview) {
  double hours = 0;
  int64_t steps = 0;
  for (const SlotChain& chain : overview->chains) {
    for (const Slot& slot : chain.slots) {
      if (slot.ended.has_value()) {
        const double length = (EndTime(*slot.ended) - slot.started.time()) / 3600;
        overview->hours += length;
        hours += length;
        steps += slot.ended->step() - slot.started.step();
      } else if (&slot == &overview->chain().slots.back() && !overview->jobs.empty()) {
        overview->hours += (now - slot.started.time()) / 3600;
      }
    }
  }
  if (hours > 0 && steps > 0) overview->rate = static_cast<double>(steps) / hours;
}

absl::StatusOr<Overview> Look(const std::string& run_folder, double now) {
  const SlurmFolder folder(run_folder);
  Overview overview;
  ASSIGN_OR_RETURN(const std::vector<SlotEvent> events, ReadSlotEvents(folder.ledger_path()));
  overview.chains = ChainsOf(events);
  if (overview.chains.empty()) return DataError(absl::StrCat(folder.ledger_path(), " has no event"));
  if (auto jobs = LiveJobs(overview.chain()); jobs.ok()) {
    overview.jobs = *std::move(jobs);
  } else {
    overview.slurm_error = std::string(jobs.status().message());
  }
  // What a hand has edited since is no reason to show nothing.
  LoadMessage(folder.launch_path(), &overview.launch).IgnoreError();
  if (const auto experiment = LoadExperiment(folder.config_path()); experiment.ok()) {
    if (experiment->proto().training().has_max_steps()) overview.max_steps = experiment->proto().training().max_steps();
  }
  ASSIGN_OR_RETURN(const auto step, CheckpointStore(SystemFileOps(), folder.checkpoints_path()).Latest());
  overview.step = step.value_or(0);
  AddUp(now, &overview);
  return overview;
}

// "running", "waiting (Resources)", "done", "stopped", ...
std::string StateOf(const Overview& overview) {
  const SlotChain& chain = overview.chain();
  if (chain.ended.has_value()) {
    const bool done = !chain.slots.empty() && chain.slots.back().ended.has_value() &&
                      chain.slots.back().ended->ending() == SlotEvent::DONE;
    return done ? "done" : "stopped";
  }
  if (!overview.slurm_error.empty()) return "unknown";
  for (const ChainJob& job : overview.jobs) {
    if (!job.state.is_waiting()) return "running";
  }
  if (overview.jobs.empty()) return chain.cancel_requested ? "stopped (cancelled)" : "gone";
  return absl::StrCat("waiting (", overview.jobs[0].state.reason, ")");
}

std::string Steps(const Overview& overview) {
  return absl::StrCat("step ", overview.step,
                      overview.max_steps.has_value() ? absl::StrCat(" of ", *overview.max_steps) : "");
}

std::string Line(const std::string& run_folder, const Overview& overview) {
  const SlotChain& chain = overview.chain();
  return absl::StrFormat("%s  %s  slot %d%s  %s", run_folder, StateOf(overview), chain.slots.size(),
                         chain.launched.has_iterations() ? absl::StrCat(" of ", chain.launched.iterations()) : "",
                         Steps(overview));
}

std::string EndOf(const Slot& slot, bool is_running) {
  if (!slot.ended.has_value()) return is_running ? "running" : "no end is recorded";
  const SlotEvent& ended = *slot.ended;
  std::string details;
  if (ended.has_exit_code() && !absl::StrContains(ended.reason(), "exit code"))
    absl::StrAppend(&details, "exit code ", ended.exit_code());
  if (ended.has_state()) absl::StrAppend(&details, details.empty() ? "" : ", ", ended.state());
  return absl::StrCat(ended.reason(), details.empty() ? "" : absl::StrCat(" (", details, ")"));
}

std::string Table(const Overview& overview, double now) {
  std::string table =
      absl::StrFormat("%4s  %-9s %-16s %9s  %-16s %s\n", "slot", "job", "started", "time", "steps", "end");
  for (const SlotChain& chain : overview.chains) {
    for (const Slot& slot : chain.slots) {
      const bool is_running =
          !slot.ended.has_value() && &slot == &overview.chain().slots.back() && !overview.jobs.empty();
      const double end = slot.ended.has_value() ? EndTime(*slot.ended) : is_running ? now : slot.started.time();
      absl::StrAppendFormat(
          &table, "%4d  %-9s %-16s %9s  %-16s %s\n", slot.started.slot(),
          absl::StrCat(slot.started.job(), slot.started.restart() > 0 ? absl::StrCat(".", slot.started.restart()) : ""),
          LocalTime(slot.started.time()), FormatDuration(end - slot.started.time()),
          absl::StrCat(slot.started.step(), " -> ", slot.ended.has_value() ? absl::StrCat(slot.ended->step()) : "..."),
          EndOf(slot, is_running));
    }
    if (chain.ended.has_value()) absl::StrAppend(&table, "      ended: ", chain.ended->reason(), "\n");
  }
  return table;
}

// "about 3 slots to go", when the rate so far holds.
std::string Estimate(const Overview& overview) {
  if (!overview.max_steps.has_value()) return "the config gives no max_steps: it goes on until it is stopped";
  const int64_t left = *overview.max_steps - overview.step;
  if (left <= 0) return "";
  const absl::StatusOr<int64_t> limit = ParseTimeLimit(overview.launch.time_limit());
  if (overview.rate <= 0 || !limit.ok()) return "slots to go: not known before one has ended";
  const double hours = static_cast<double>(left) / overview.rate;
  const double slot_hours = static_cast<double>(*limit - overview.launch.warning_seconds()) / 3600;
  const auto slots = static_cast<uint64_t>(std::max(1.0, std::ceil(hours / slot_hours)));
  return absl::StrFormat("about %s to go (%s at %.0f steps an hour)", CountOf(slots, "slot"),
                         FormatDuration(hours * 3600), overview.rate);
}

}  // namespace

absl::StatusOr<std::string> FindLaunchedRun(const std::string& run) {
  for (const std::string& candidate : {ResolvePath(run), ResolvePath("runs/" + run)}) {
    if (Exists(SlurmFolder(candidate).ledger_path())) return candidate;
  }
  return ConfigError(absl::StrCat("there is no run that slurm_launch submitted in ", ResolvePath(run), " or ",
                                  ResolvePath("runs/" + run)));
}

std::vector<std::string> AllLaunchedRuns() {
  std::vector<std::string> runs;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(ResolvePath("runs"), error), end; !error && entry != end;
       entry.increment(error)) {
    if (Exists(SlurmFolder(entry->path().string()).ledger_path())) runs.push_back(entry->path().string());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

absl::StatusOr<std::string> StatusLine(const std::string& run_folder, double now) {
  ASSIGN_OR_RETURN(const Overview overview, Look(run_folder, now));
  return Line(run_folder, overview) + "\n";
}

absl::StatusOr<std::string> StatusText(const std::string& run_folder, double now) {
  ASSIGN_OR_RETURN(const Overview overview, Look(run_folder, now));
  std::string text = Line(run_folder, overview) + "\n";
  if (!overview.slurm_error.empty()) absl::StrAppend(&text, overview.slurm_error, "\n");
  absl::StrAppend(&text, Table(overview, now));
  for (const ChainJob& job : overview.jobs) {
    absl::StrAppend(&text, "job ", job.job, ": ", job.state.state,
                    job.state.is_waiting() ? absl::StrCat(" (", job.state.reason, ")") : "", "\n");
  }
  if (StateOf(overview) == "gone") {
    absl::StrAppend(&text,
                    "SLURM has no job of this run, and the ledger does not say why (slurm/job-*.log in its folder "
                    "may): launch it again "
                    "to go on\n");
  }
  const int gpus = overview.launch.nodes() * std::max(overview.launch.gpus_per_node(), 0);
  absl::StrAppendFormat(&text, "%s used on %s%s\n", FormatDuration(overview.hours * 3600),
                        CountOf(static_cast<uint64_t>(overview.launch.nodes()), "node"),
                        gpus > 0 ? absl::StrFormat(" (%.1f GPU hours)", overview.hours * gpus) : "");
  if (const std::string estimate = Estimate(overview); !estimate.empty() && !overview.chain().ended.has_value()) {
    absl::StrAppend(&text, estimate, "\n");
  }
  return text;
}

}  // namespace cubist
