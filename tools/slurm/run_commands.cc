#include "tools/slurm/run_commands.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/status.h"
#include "tools/slurm/chain_jobs.h"
#include "tools/slurm/run_status.h"
#include "tools/slurm/slot_ledger.h"
#include "tools/slurm/slurm_commands.h"
#include "tools/slurm/slurm_folder.h"

namespace cubist {
namespace {

using slurm::SlotEvent;

double Now() { return static_cast<double>(std::time(nullptr)); }

// At least one.
absl::StatusOr<std::vector<SlotChain>> ReadChains(const std::string& run_folder) {
  ASSIGN_OR_RETURN(const std::vector<SlotEvent> events, ReadSlotEvents(SlurmFolder(run_folder).ledger_path()));
  std::vector<SlotChain> chains = ChainsOf(events);
  if (chains.empty()) return ConfigError(absl::StrCat("nothing was launched in ", run_folder));
  return chains;
}

std::string LogPath(const SlurmFolder& folder, int slot, const LogsOptions& options) {
  const std::string name = options.launch ? "launch.log" : absl::StrCat("rank-", options.rank, ".log");
  return folder.logs_path(slot) + "/" + name;
}

// 0: none has started.
int LastSlot(const std::vector<SlotChain>& chains) {
  int last = 0;
  for (const SlotChain& chain : chains) {
    if (!chain.slots.empty()) last = chain.slots.back().started.slot();
  }
  return last;
}

// Where the last `lines` lines of a file begin.
std::streamoff BeginOfLastLines(std::ifstream& file, int lines) {
  file.seekg(0, std::ios::end);
  std::streamoff at = file.tellg();
  constexpr std::streamoff kBlock = 65536;
  int found = 0;
  std::string block;
  while (at > 0) {
    const std::streamoff begin = std::max<std::streamoff>(0, at - kBlock);
    block.resize(static_cast<size_t>(at - begin));
    file.seekg(begin);
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    for (size_t i = block.size(); i-- > 0;) {
      // The newline that ends the file begins no line.
      if (block[i] == '\n' && found++ == lines) return begin + static_cast<std::streamoff>(i) + 1;
    }
    at = begin;
  }
  return 0;
}

// Prints the file from there on; how far it came.
std::streamoff PrintFrom(const std::string& path, std::streamoff at) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(at);
  char buffer[65536];
  while (file.read(buffer, sizeof(buffer)) || file.gcount() > 0) {
    std::fwrite(buffer, 1, static_cast<size_t>(file.gcount()), stdout);
    at += file.gcount();
  }
  std::fflush(stdout);
  return at;
}

absl::Status NoLog(const SlurmFolder& folder, const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::path logs = std::filesystem::path(path).parent_path();
  for (std::filesystem::directory_iterator entry(logs, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return ConfigError(
      absl::StrCat("there is no ", path,
                   names.empty() ? absl::StrCat("; what the batch scripts said is in ", folder.path(), "/job-*.log")
                                 : absl::StrCat("; its folder has ", absl::StrJoin(names, ", "))));
}

}  // namespace

absl::Status ShowStatus(const std::vector<std::string>& runs) {
  if (runs.empty()) {
    const std::vector<std::string> all = AllLaunchedRuns();
    if (all.empty()) std::printf("no run in %s was launched by slurm_launch\n", ResolvePath("runs").c_str());
    for (const std::string& run : all) {
      ASSIGN_OR_RETURN(const std::string line, StatusLine(run, Now()));
      std::fputs(line.c_str(), stdout);
    }
    return absl::OkStatus();
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string folder, FindLaunchedRun(runs[i]));
    ASSIGN_OR_RETURN(const std::string text, StatusText(folder, Now()));
    std::printf("%s%s", i > 0 ? "\n" : "", text.c_str());
  }
  return absl::OkStatus();
}

absl::Status CancelRun(FileOps& ops, const std::string& run, bool now) {
  ASSIGN_OR_RETURN(const std::string run_folder, FindLaunchedRun(run));
  const SlurmFolder folder(run_folder);
  ASSIGN_OR_RETURN(const std::vector<SlotChain> chains, ReadChains(run_folder));
  const SlotChain& chain = chains.back();
  ASSIGN_OR_RETURN(const std::vector<ChainJob> jobs, LiveJobs(chain));
  if (jobs.empty()) return ConfigError(absl::StrCat("SLURM has no job of the run in ", run_folder));
  // First: what starts or ends from now on is told.
  SlotEvent event;
  event.set_event(SlotEvent::CANCEL_REQUESTED);
  char host[256] = {};
  if (gethostname(host, sizeof(host) - 1) == 0) event.set_host(host);
  RETURN_IF_ERROR(AppendSlotEvent(ops, folder.ledger_path(), event));
  std::vector<std::string> killed, asked;
  for (const ChainJob& job : jobs) {
    // A batch script that has not come to work yet would be killed by a signal, and end nothing.
    const bool works = std::any_of(chain.slots.begin(), chain.slots.end(),
                                   [&job](const Slot& slot) { return slot.started.job() == job.job; });
    (works && !now && !job.state.is_waiting() ? asked : killed).push_back(job.job);
  }
  RETURN_IF_ERROR(CancelJobs(killed));
  RETURN_IF_ERROR(CancelJobs(asked, "USR1"));
  if (!killed.empty()) std::printf("cancelled job %s\n", absl::StrJoin(killed, ", ").c_str());
  if (!asked.empty()) {
    std::printf("asked job %s to save and end; with --now it is killed instead\n", absl::StrJoin(asked, ", ").c_str());
    return absl::OkStatus();
  }
  SlotEvent ended;
  ended.set_event(SlotEvent::CHAIN_ENDED);
  ended.set_reason("cancelled by slurm_launch cancel");
  return AppendSlotEvent(ops, folder.ledger_path(), ended);
}

absl::Status ShowLogs(const std::string& run, const LogsOptions& options) {
  ASSIGN_OR_RETURN(const std::string run_folder, FindLaunchedRun(run));
  const SlurmFolder folder(run_folder);
  ASSIGN_OR_RETURN(std::vector<SlotChain> chains, ReadChains(run_folder));
  int slot = options.slot > 0 ? options.slot : LastSlot(chains);
  if (slot == 0 && !options.follow) {
    return ConfigError(absl::StrCat("no slot of the run in ", run_folder, " has started yet; see slurm_launch status"));
  }
  std::streamoff at = 0;
  if (slot > 0) {
    std::ifstream file(LogPath(folder, slot, options), std::ios::binary);
    if (!file && !options.follow) return NoLog(folder, LogPath(folder, slot, options));
    if (file) at = BeginOfLastLines(file, options.lines);
    std::fprintf(stderr, "==> %s <==\n", LogPath(folder, slot, options).c_str());
    at = PrintFrom(LogPath(folder, slot, options), at);
  }
  if (!options.follow) return absl::OkStatus();
  const std::atomic<bool>* stop = StopOnSignals();
  while (!stop->load()) {
    if (slot > 0) at = PrintFrom(LogPath(folder, slot, options), at);
    ASSIGN_OR_RETURN(chains, ReadChains(run_folder));
    if (options.slot == 0 && LastSlot(chains) > slot) {
      slot = LastSlot(chains);
      at = 0;
      std::fprintf(stderr, "==> %s <==\n", LogPath(folder, slot, options).c_str());
      continue;
    }
    if (chains.back().ended.has_value()) {
      if (slot > 0) PrintFrom(LogPath(folder, slot, options), at);
      std::fprintf(stderr, "the chain has ended: %s\n", chains.back().ended->reason().c_str());
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return absl::OkStatus();
}

}  // namespace cubist
