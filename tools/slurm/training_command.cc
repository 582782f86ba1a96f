#include "tools/slurm/training_command.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/command_line.h"
#include "base/status.h"
#include "tools/slurm/shell_words.h"
#include "tools/training/launch/run_choices.h"

namespace cubist {
namespace {

constexpr char kExample[] =
    "-c 'train configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto --gpus 8 --wname vae'";

absl::Status CheckIsTrain(const std::vector<std::string>& words) {
  if (words.empty()) return ConfigError(absl::StrCat("the command is empty: give one with ", kExample));
  const std::string program = words[0].substr(words[0].find_last_of('/') + 1);
  if (program == "train") return absl::OkStatus();
  if (absl::StrContains(words[0], "=")) {
    return ConfigError(absl::StrCat("the command begins with ", words[0],
                                    ": variables of the environment are given with --environment NAME=value"));
  }
  std::string hint;
  if (absl::StartsWith(program, "python") || absl::EndsWith(program, ".py")) {
    hint = "; the reference's `python infinicube/voxelgen/train.py CONFIG.yaml` is `train CONFIG.textproto` here";
  } else if (absl::StartsWith(program, "bazel")) {
    hint = "; slots need no Bazel: leave out what stands before `train`";
  }
  return ConfigError(
      absl::StrCat("the command starts '", words[0], "', and slots run `train`", hint, ": for example ", kExample));
}

absl::Status CheckTrains(const TrainFlags& flags) {
  const auto refuse = [](const char* flag, const char* instead) {
    return ConfigError(absl::StrCat("the command has ", flag, ", and slots train: ", instead));
  };
  if (!flags.help.empty()) return refuse("--help", "run train --help by itself");
  if (flags.dry_run) return refuse("--dry_run", "run it by itself, or give --dry_run to slurm_launch");
  if (flags.preflight) return refuse("--preflight", "run it by itself");
  if (flags.replay_step > 0) return refuse("--replay_step", "run it by itself");
  if (flags.print_config) return refuse("--print_config", "run it by itself");
  if (flags.explain.has_value()) return refuse("--explain", "run it by itself");
  if (!flags.log_dir.empty())
    return refuse("--log_dir", "slurm_launch gives each slot its own, logs/slot-N in the run's folder");
  return absl::OkStatus();
}

bool SetsSeed(const TrainFlags& flags) {
  return std::any_of(flags.fields.begin(), flags.fields.end(),
                     [](const FieldFlag& field) { return field.path == "training.seed"; }) ||
         std::any_of(flags.set.begin(), flags.set.end(),
                     [](const std::string& set) { return absl::StartsWith(set, "training.seed="); });
}

// Of train in a slot, which runs in the folder that relative paths count from now.
std::vector<std::string> SlotArguments(const TrainFlags& flags) {
  std::vector<std::string> arguments;
  const auto add = [&arguments](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  add("--wname", flags.run_name);
  if (flags.device != "auto") add("--device", flags.device);
  if (flags.gpus.has_value()) add("--gpus", absl::StrCat(*flags.gpus));
  add("--init_from", flags.init_from);
  add("--resume_from", flags.resume_from);
  if (flags.allow_fallback) arguments.push_back("--allow_fallback");
  if (const auto& range = flags.profile_steps) add("--profile_steps", absl::StrCat(range->first, ":", range->last));
  return arguments;
}

// What tells the runs of a sweep apart, as part of a folder's name.
std::string SuffixOf(const std::string& override_text) {
  const size_t equals = override_text.find('=');
  const size_t dot = override_text.substr(0, equals).find_last_of('.');
  std::string suffix = "_" + override_text.substr(dot == std::string::npos ? 0 : dot + 1);
  for (char& c : suffix) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string_view("._=+-,").find(c) == std::string_view::npos)
      c = '_';
  }
  return suffix;
}

}  // namespace

absl::StatusOr<std::vector<SweepRun>> ReadSweep(const std::vector<std::string>& sweep) {
  std::vector<SweepRun> runs;
  std::set<std::string> suffixes;
  for (const std::string& text : sweep) {
    SweepRun run;
    absl::StatusOr<std::vector<std::string>> words = SplitShellWords(text);
    if (!words.ok()) return Annotate(words.status(), absl::StrCat("--sweep '", text, "'"));
    run.overrides = *std::move(words);
    for (const std::string& word : run.overrides) {
      if (!absl::StrContains(word, "=")) {
        return ConfigError(absl::StrCat("--sweep '", text, "': '", word, "' is no override, which is PATH=VALUE"));
      }
      run.suffix += SuffixOf(word);
    }
    if (run.overrides.empty()) return ConfigError("--sweep '': a run of a sweep needs an override, PATH=VALUE");
    if (!suffixes.insert(run.suffix).second) {
      return ConfigError(absl::StrCat("--sweep '", text, "': another run of the sweep has the name ...", run.suffix));
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

absl::StatusOr<TrainingCommand> ReadTrainingCommand(const std::string& command, std::optional<int64_t> seed,
                                                    const SweepRun& sweep) {
  ASSIGN_OR_RETURN(const std::vector<std::string> words, SplitShellWords(command));
  RETURN_IF_ERROR(CheckIsTrain(words));
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ASSIGN_OR_RETURN(const TrainFlags flags, ParseTrainFlags(static_cast<int>(arguments.size()), arguments.data()));
  RETURN_IF_ERROR(CheckTrains(flags));

  TrainFlags full = flags;
  if (seed.has_value() && !SetsSeed(flags)) full.fields.push_back({"-s", "training.seed", absl::StrCat(*seed)});
  full.set.insert(full.set.end(), sweep.overrides.begin(), sweep.overrides.end());
  ASSIGN_OR_RETURN(ValidatedExperiment experiment, LoadExperimentOf(full));
  if (!sweep.suffix.empty()) {
    if (full.run_name.empty()) full.run_name = experiment.proto().name();
    (full.run_dir.empty() ? full.run_name : full.run_dir) += sweep.suffix;
  }
  // One process starts all ranks, as far as the choice of a folder goes: slots are told which it is.
  ASSIGN_OR_RETURN(const std::string folder, RunFolderOf(full, experiment, RankPlan()));
  return TrainingCommand{std::move(experiment), full, ResolvePath(folder), SlotArguments(full)};
}

}  // namespace cubist
