#include "tools/training/launch/run_choices.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/tasks/built_models.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/wandb/credentials.h"

namespace cubist {
namespace {

absl::StatusOr<std::string> NewOrLatestRunFolder(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                                 const RankPlan& plan) {
  if (flags.fresh && !plan.starts_all_ranks()) {
    return ConfigError(
        "--fresh numbers the run's folder, and several processes start this run: name a new folder with --run_dir "
        "instead");
  }
  // A folder that is named is meant; only a run's name stands for its latest numbered folder.
  if (!flags.run_dir.empty() && !flags.fresh) return flags.run_dir;
  std::string base = flags.run_dir;
  if (base.empty()) {
    ASSIGN_OR_RETURN(base, RunFolderFor("runs", flags.run_name.empty() ? experiment.proto().name() : flags.run_name));
  }
  return ChooseRunFolder(base, flags.fresh);
}

// Whether config, flags and environment have the run log to Weights & Biases.
absl::StatusOr<bool> LogsToWandb(const TrainFlags& flags, const ValidatedExperiment& experiment) {
  const bool writes_logs = !flags.dry_run && flags.replay_step == 0;
  if (experiment.proto().logging().logger_type() != WANDB || !writes_logs) return false;
  ASSIGN_OR_RETURN(const WandbCredentials credentials, ReadWandbCredentials(CurrentEnvironment()));
  if (credentials.mode == WandbMode::kDisabled) return false;
  const absl::Status key = CheckKeyForLogging(credentials);
  if (!key.ok()) {
    return Annotate(key,
                    absl::StrCat("logging.logger_type is WANDB (", experiment.OriginOf("logging.logger_type"), ")"));
  }
  return true;
}

}  // namespace

absl::StatusOr<RunChoices> ChooseRun(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                     bool has_rank_zero) {
  if (flags.device == "cuda") {
    return ConfigError("--device cuda: this version trains on the CPU only; leave --device out or use --device cpu");
  }
  std::vector<std::string> mistakes;
  const absl::StatusOr<bool> logs = has_rank_zero ? LogsToWandb(flags, experiment) : false;
  if (!logs.ok()) mistakes.emplace_back(logs.status().message());
  const Precision precision = experiment.proto().training().precision();
  const bool computes = !flags.dry_run || CheckModelIsBuilt(experiment.proto()).ok();
  if ((precision == BF16 || precision == TF32) && computes) {
    mistakes.push_back(absl::StrCat("training.precision is ", Precision_Name(precision), " (",
                                    experiment.OriginOf("training.precision"),
                                    "), which needs a GPU, and this version trains on the CPU only: use --set "
                                    "training.precision=FP32"));
  }
  if (!mistakes.empty()) return ConfigError(absl::StrJoin(mistakes, "\n"));
  return RunChoices{"cpu", *logs};
}

absl::StatusOr<std::string> RunFolderOf(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                        const RankPlan& plan) {
  ASSIGN_OR_RETURN(std::string folder, NewOrLatestRunFolder(flags, experiment, plan));
  if (flags.replay_step > 0 && !IsDirectory(folder)) {
    return ConfigError(absl::StrCat("--replay_step ", flags.replay_step, ": there is no run in ", folder,
                                    "; name it with --wname or --run_dir as when it was started"));
  }
  return folder;
}

}  // namespace cubist
