#include "tools/training/rehearsal/rehearsal_launch.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "data_process/scenes/clip_index.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/launch/launcher.h"
#include "tools/training/launch/run_preparation.h"
#include "tools/training/rehearsal/archive_trial.h"
#include "tools/training/rehearsal/frame_trial.h"
#include "tools/training/rehearsal/rehearsal_folders.h"
#include "tools/training/rehearsal/report_table.h"

namespace cubist {
namespace {

constexpr char kArchivesCheck[] = "archives", kFramesCheck[] = "frames";

// The same run on a few clips in `data_root`, which the config does not name.
absl::StatusOr<ValidatedExperiment> OnMadeUpData(const ValidatedExperiment& experiment, const std::string& data_root) {
  const std::string flag = "rehearsal";  // no flag of the user's, who named no folder
  std::vector<FieldFlag> fields = {{flag, "data.data_root", data_root}};
  for (const char* field : {"data.train_clips", "data.validation_clips"}) fields.push_back({flag, field, "[]"});
  for (const char* field : {"data.train_clip_list", "data.validation_clip_list"}) fields.push_back({flag, field, ""});
  return LoadExperimentText(experiment.CanonicalText(), "config", {}, fields);
}

// Step 3: prints the line of each check. Returns the names of those that failed; PreemptedError.
absl::StatusOr<std::vector<std::string>> CheckData(const Experiment& config, bool data_is_made_up,
                                                   const std::atomic<bool>* stop_flag) {
  const auto stop = [stop_flag] { return stop_flag->load(); };
  std::vector<std::string> failed;
  const auto report = [&](const char* name, const absl::StatusOr<CheckOutcome>& result) -> absl::Status {
    if (ExitCodeOf(result.status()) == ExitCode::kPreempted) return result.status();
    std::string text = result.ok() ? result->text : std::string(result.status().message());
    if (data_is_made_up) text += " (of the data made for this)";
    std::fputs(FormatRow(result.ok() ? result->verdict : Verdict::kFailed, name, text).c_str(), stdout);
    std::fflush(stdout);
    if (!result.ok()) failed.push_back(name);
    return absl::OkStatus();
  };
  const absl::StatusOr<ClipIndex> clips = ClipIndex::Open(config.data());
  if (!clips.ok()) {
    RETURN_IF_ERROR(report(kArchivesCheck, clips.status()));
    RETURN_IF_ERROR(report(kFramesCheck, CheckOutcome{Verdict::kSkipped, "without the archives"}));
    return failed;
  }
  RETURN_IF_ERROR(report(kArchivesCheck, TryArchives(*clips, config.data(), ParallelThreads(), stop)));
  RETURN_IF_ERROR(report(kFramesCheck, TryFrames(*clips, config, ParallelThreads(), stop)));
  return failed;
}

}  // namespace

absl::StatusOr<int> LaunchRehearsal(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                    const RankPlan& plan, const std::string& worker, const std::string& device,
                                    const std::string& run_folder, const std::atomic<bool>* stop) {
  ASSIGN_OR_RETURN(const std::string description, DescribeRun(experiment, plan, worker, device));
  if (flags.dry_run && !plan.has_rank_zero()) {
    std::printf("%sthe dry run is done where rank 0 starts\n", description.c_str());
    return 0;
  }
  std::fputs(description.c_str(), stdout);
  std::fflush(stdout);  // before the workers write to the same place

  FileOps& ops = SystemFileOps();
  ASSIGN_OR_RETURN(const std::unique_ptr<RehearsalFolders> folders, RehearsalFolders::Make(ops, run_folder));
  ASSIGN_OR_RETURN(const bool must_synthesize, MustSynthesize(experiment));
  ValidatedExperiment rehearsed = experiment;
  if (must_synthesize) {
    ASSIGN_OR_RETURN(rehearsed, OnMadeUpData(experiment, folders->temporary() + "/data"));
    RETURN_IF_ERROR(PrepareData(ops, rehearsed, stop, /*for_rehearsal=*/true));
  }
  ASSIGN_OR_RETURN(std::vector<WorkerCommand> workers,
                   WorkerCommands(flags, rehearsed, plan, RunFolder(run_folder), {worker, ""}, device));
  if (flags.dry_run) workers.resize(1);
  for (WorkerCommand& command : workers) {
    command.arguments.push_back(flags.dry_run ? "--rehearse=dry_run" : "--rehearse=preflight");
    command.arguments.push_back("--trial_folder=" + folders->beside_run());
    if (must_synthesize) command.arguments.push_back("--data_is_made_up");
    if (!command.output_path.empty()) {
      command.output_path = absl::StrCat(folders->temporary(), "/rank-", command.rank, ".log");
    }
  }
  if (stop->load()) return PreemptedError("stopped before the first step; nothing stays");
  std::vector<std::string> failed;
  // Once a node, though a scheduler may have started a front for every rank.
  if (flags.preflight && plan.first_local_rank == 0) {
    ASSIGN_OR_RETURN(failed, CheckData(rehearsed.proto(), must_synthesize, stop));
  }
  const std::string failures = absl::StrJoin(failed, ",");
  if (!failed.empty() && plan.has_rank_zero()) workers[0].arguments.push_back("--failed_before=" + failures);
  SetParallelThreads(1);  // RunWorkers() wants this process to have one thread
  ASSIGN_OR_RETURN(const int code, RunWorkers(workers));
  if (plan.has_rank_zero()) std::printf("run folder: %s\n", run_folder.c_str());
  if (failed.empty() || code == static_cast<int>(ExitCode::kPreempted)) return code;
  // Rank 0 has said it here.
  if (plan.has_rank_zero()) return static_cast<int>(ExitCode::kData);
  return DataError(absl::StrCat("preflight: checks failed on this node: ", failures));
}

}  // namespace cubist
