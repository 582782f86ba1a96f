#include "tools/training/launch/run_preparation.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/command_line.h"
#include "base/count_of.h"
#include "base/parallel_for.h"
#include "base/progress_bar.h"
#include "base/status.h"
#include "data_process/synthesis/synthesis.h"

namespace cubist {
namespace {

// Enough for one to train on and one to validate on.
constexpr int kClipsOfRehearsal = 2;

// A file in memory with this text; every process that inherits the descriptor can open
// /proc/self/fd/<descriptor> and read it from the start.
absl::StatusOr<int> FileInMemory(const std::string& text) {
  const int descriptor = memfd_create("config.textproto", MFD_CLOEXEC);
  if (descriptor < 0) return InternalError(absl::StrCat("memfd_create: ", ErrnoText(errno)));
  for (size_t written = 0; written < text.size();) {
    const ssize_t count = write(descriptor, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const std::string reason = ErrnoText(errno);
      close(descriptor);
      return InternalError(absl::StrCat("cannot hand the config to the workers: ", reason));
    }
    written += static_cast<size_t>(count);
  }
  return descriptor;
}

}  // namespace

absl::StatusOr<bool> MustSynthesize(const ValidatedExperiment& experiment) {
  const Data& data = experiment.proto().data();
  struct stat info;
  if (stat(data.data_root().c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return false;
    return DataError(absl::StrCat("the data folder ", data.data_root(), " is not a folder"));
  }
  const int error = errno;
  const std::string origin = absl::StrCat("data.data_root: ", experiment.OriginOf("data.data_root"));
  if (error != ENOENT) {
    return DataError(
        absl::StrCat("cannot look at the data folder ", data.data_root(), " (", origin, "): ", ErrnoText(error)));
  }
  // A folder that a flag names should be there: a mistyped one would train on made-up data.
  const bool named_by_flag = absl::StartsWith(experiment.OriginOf("data.data_root"), "--") &&
                             !absl::StrContains(experiment.OriginOf("data.synthesize"), "--set");
  if (data.has_synthesize() && !named_by_flag) return true;
  return DataError(absl::StrCat("the data folder ", data.data_root(), " does not exist (", origin,
                                "): name another with --data_root, or make scenes there with //data_process:"
                                "synthesize_scenes"));
}

absl::Status PrepareData(FileOps& ops, const ValidatedExperiment& experiment, const std::atomic<bool>* stop,
                         bool for_rehearsal) {
  ASSIGN_OR_RETURN(const bool must_synthesize, MustSynthesize(experiment));
  if (!must_synthesize) return absl::OkStatus();
  const std::string& data_root = experiment.proto().data().data_root();
  Synthesize synthesize = experiment.proto().data().synthesize();
  if (for_rehearsal) synthesize.set_clips(std::min(synthesize.clips(), kClipsOfRehearsal));
  const std::string scenes = CountOf(static_cast<uint64_t>(synthesize.clips()), "scene");
  if (for_rehearsal) {
    std::fprintf(stderr, "train: making %s for the rehearsal\n", scenes.c_str());
  } else {
    std::fprintf(stderr, "train: %s does not exist: making %s there\n", data_root.c_str(), scenes.c_str());
  }
  std::unique_ptr<ProgressBar> bar;
  const auto show = [&bar](int64_t done, int64_t total) {
    if (bar == nullptr) bar = std::make_unique<ProgressBar>("synthesizing scenes", total, StandardErrorIsTerminal());
    bar->Update(done);
  };
  const auto& attributes = experiment.proto().data().attributes();
  const auto report = SynthesizeScenes(ops, data_root, synthesize, {attributes.begin(), attributes.end()}, show, stop);
  if (bar != nullptr) report.ok() ? bar->Finish() : bar->Abandon();
  // RunWorkers() wants this process to have one thread: another could take the signals that it waits for.
  SetParallelThreads(1);
  if (report.ok()) return absl::OkStatus();
  // The front of another node, or of another run, was faster: the scenes are the same, and are there at once.
  const absl::StatusOr<bool> still_must = MustSynthesize(experiment);
  return still_must.ok() && !*still_must ? absl::OkStatus() : report.status();
}

absl::StatusOr<std::string> DescribeRun(const ValidatedExperiment& experiment, const RankPlan& plan,
                                        const std::string& worker, const std::string& device) {
  ASSIGN_OR_RETURN(const bool must_synthesize, MustSynthesize(experiment));
  return absl::StrCat("would start ", plan.local_ranks, " of ", plan.world_size, " ranks, from rank ", plan.first_rank,
                      ", on the ", device, " with ", worker, "\ndata: ", experiment.proto().data().data_root(),
                      must_synthesize ? " (would be synthesized)" : "", "\n");
}

absl::StatusOr<PreparedRun> PrepareRunFolder(FileOps& ops, const std::string& path, const RankPlan& plan) {
  const bool is_new = plan.starts_all_ranks() && !IsDirectory(path);
  ASSIGN_OR_RETURN(RunFolder folder, RunFolder::Create(ops, path));
  std::unique_ptr<RunLock> lock;
  if (plan.has_rank_zero()) {
    ASSIGN_OR_RETURN(lock, RunLock::Acquire(folder.lock_path()));
    RETURN_IF_ERROR(lock->ShareWithChildren());
    if (!lock->stale_holder().empty()) {
      std::fprintf(stderr,
                   "train: the last run in %s was killed (%s); going on from its latest checkpoint, if it saved one\n",
                   path.c_str(), lock->stale_holder().c_str());
    }
  }
  return PreparedRun{std::move(folder), std::move(lock), is_new};
}

void RemoveIfUnused(FileOps& ops, const PreparedRun& run, int exit_code) {
  const auto code = static_cast<ExitCode>(exit_code);
  if (code != ExitCode::kConfig && code != ExitCode::kData && code != ExitCode::kStorage) return;
  std::error_code error;
  const auto has_rows = std::filesystem::file_size(run.folder.metrics_path(), error) > 0 && !error;
  const auto has_checkpoints = !std::filesystem::is_empty(run.folder.checkpoints_path(), error) || error;
  if (run.is_new && run.lock != nullptr && !has_rows && !has_checkpoints) {
    RemoveTree(ops, run.folder.path()).IgnoreError();
  }
}

absl::StatusOr<std::vector<WorkerCommand>> WorkerCommands(const TrainFlags& flags,
                                                          const ValidatedExperiment& experiment, const RankPlan& plan,
                                                          const RunFolder& folder, const RunPrograms& programs,
                                                          const std::string& device) {
  ASSIGN_OR_RETURN(const int config, FileInMemory(experiment.CanonicalText()));
  WorkerPlace place;
  place.world_size = plan.world_size;
  place.local_world_size = plan.local_world_size;
  place.master_address = plan.master_address;
  place.master_port = plan.master_port;
  place.store_is_external = plan.store_is_external;
  place.session = plan.session;
  int listening = -1;
  if (plan.starts_all_ranks() && plan.world_size > 1 && plan.master_port == 0) {
    ASSIGN_OR_RETURN(const ListeningSocket socket, ListenOnLoopback());
    listening = socket.descriptor;
    place.master_port = socket.port;
  }

  std::vector<WorkerCommand> commands;
  for (int i = 0; i < plan.local_ranks; ++i) {
    WorkerCommand command;
    command.rank = place.rank = plan.first_rank + i;
    place.local_rank = plan.first_local_rank + i;
    place.listen_descriptor = place.rank == 0 ? listening : -1;
    command.arguments = {programs.worker, absl::StrCat("--config=/proc/self/fd/", config),
                         absl::StrCat("--run_dir=", folder.path()), absl::StrCat("--device=", device)};
    if (!flags.init_from.empty()) command.arguments.push_back(absl::StrCat("--init_from=", flags.init_from));
    if (!flags.resume_from.empty()) command.arguments.push_back(absl::StrCat("--resume_from=", flags.resume_from));
    if (flags.allow_fallback) command.arguments.push_back("--allow_fallback");
    if (const auto& range = flags.profile_steps) {
      command.arguments.push_back(absl::StrCat("--profile_steps=", range->first, ":", range->last));
    }
    if (flags.replay_step > 0) command.arguments.push_back(absl::StrCat("--replay_step=", flags.replay_step));
    if (place.rank == 0 && !programs.wandb_core.empty()) {
      command.arguments.push_back(absl::StrCat("--wandb_core=", programs.wandb_core));
    }
    command.environment = WorkerEnvironment(place);
    // c10d warns about loopback addresses without a name and the like, with a backtrace each.
    if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) command.environment.push_back("TORCH_CPP_LOG_LEVEL=ERROR");
    // Its profiler reports every machine without a GPU as an error.
    if (std::getenv("KINETO_LOG_LEVEL") == nullptr) command.environment.push_back("KINETO_LOG_LEVEL=5");
    command.inherited_descriptors = {config};
    if (place.listen_descriptor >= 0) command.inherited_descriptors.push_back(listening);
    if (!flags.log_dir.empty() || place.rank != 0) {
      command.output_path =
          absl::StrCat(flags.log_dir.empty() ? folder.logs_path() : flags.log_dir, "/rank-", place.rank, ".log");
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace cubist
