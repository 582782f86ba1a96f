#include "tools/training/launch/run_choices.h"

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
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

bool HasNvidiaGpu() {
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && (*visible == '\0' || std::string_view(visible) == "-1")) return false;
  // In a container the first may have another number.
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/dev", none)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, "nvidia") && name.size() > 6 && absl::ascii_isdigit(name[6])) return true;
  }
  return false;
}

absl::StatusOr<RunChoices> ChooseRun(const TrainFlags& flags, const ValidatedExperiment& experiment,
                                     const RunPlace& place) {
  std::vector<std::string> mistakes;
  const absl::StatusOr<bool> logs = place.has_rank_zero ? LogsToWandb(flags, experiment) : false;
  if (!logs.ok()) mistakes.emplace_back(logs.status().message());
  const Precision precision = experiment.proto().training().precision();
  const bool cuda = flags.device == "cuda" || (flags.device == "auto" && place.has_gpu && precision != FP64);
  const bool computes = !flags.dry_run || CheckModelIsBuilt(experiment.proto()).ok();
  const bool for_gpus = precision == BF16 || precision == TF32;
  const std::string on_cpu = for_gpus ? "--device cpu --set training.precision=FP32" : "--device cpu";
  if (cuda && !place.has_gpu) {
    mistakes.push_back(
        absl::StrCat("--device cuda: this machine has no NVIDIA GPU (/dev/nvidia0 and the like); use ", on_cpu));
  }
  if (cuda && place.world_size > 1 && computes) {
    mistakes.push_back(absl::StrCat("this version trains on one GPU, not on ", place.world_size, ": use --gpus 1, or ",
                                    on_cpu, " for ranks on the CPU"));
  }
  if (!cuda && for_gpus && computes) {
    mistakes.push_back(absl::StrCat("training.precision is ", Precision_Name(precision), " (",
                                    experiment.OriginOf("training.precision"), "), which needs a GPU",
                                    flags.device == "cpu" ? "" : ", and this machine has none",
                                    ": on a CPU use --set training.precision=FP32"));
  }
  if (!mistakes.empty()) return ConfigError(absl::StrJoin(mistakes, "\n"));
  return RunChoices{cuda ? "cuda" : "cpu", *logs};
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
