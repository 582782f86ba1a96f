#include "tools/training/launch/train_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr char kDescription[] =
    "Trains a model as a config file says. Started again, a run goes on from its latest checkpoint.";

constexpr char kExamples[] = R"(Examples:
  # the small voxel VAE, on scenes that it makes itself
  train configs/quickstart/vae.textproto
  # on your data, with another batch size, in a folder of its own
  train configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto \
      --data_root /data/waymo --set batch.per_gpu=2 --run_dir runs/my_vae --logger_type none
  # two processes on the CPU
  train configs/quickstart/vae.textproto --gpus 2 --device cpu
  # what a field means and where its value comes from
  train configs/quickstart/vae.textproto --explain batch.per_gpu

Exit codes: 0 done; 2 bad flag or config; 3 bad data; 4 not finite; 5 a peer was lost; 6 storage; 70 a bug in
Cubist; 75 stopped and saved: start it again. The last line that a run prints names its folder.)";

void DefineFlags(CLI::App* app, TrainFlags* flags) {
  const auto text = [app](const char* name, std::string* value, const char* type, const char* help) {
    // An empty value is an unset variable of a script, not a wish for the default.
    const auto not_empty = [](std::string& given) { return std::string(given.empty() ? "the value is empty" : ""); };
    return app->add_option(name, *value, help)->check(CLI::Validator(not_empty, ""))->type_name(type);
  };
  text("config", &flags->config, "CONFIG", "Config file (textproto); see configs/recipes and configs/quickstart");
  text("--run_dir", &flags->run_dir, "DIR", "Folder of the run; default: runs/<name of the run>");
  text("--wname", &flags->run_name, "NAME", "Name of the run; default: the config's name");

  // These keep their text: the config's loader checks it and names the flag.
  const auto field = [app, flags](const std::string& flag, const std::string& path, const char* type,
                                  const char* help) {
    return app
        ->add_option_function<std::string>(
            flag,
            [flags, flag, path](const std::string& value) {
              flags->fields.push_back({flag, path, value});
            },
            help)
        ->type_name(type);
  };
  field("--data_root", "data.data_root", "DIR", "Folder of the data, in place of the config's");
  field("--assets_root", "data.assets_root", "DIR", "Folder of the reference's assets, with the clip lists");
  field("--max_steps", "training.max_steps", "N", "Optimizer steps of the whole run");
  field("--eval_interval", "validation.interval_epochs", "EPOCHS", "Validate every so many epochs; 0: never");
  field("--seed", "training.seed", "N", "Seed of everything random");
  app->add_option_function<std::string>(
         "--logger_type",
         [flags](const std::string& value) {
           flags->fields.push_back({"--logger_type", "logging.logger_type", absl::AsciiStrToUpper(value)});
         },
         "What is added to the files that are always written")
      ->check(CLI::IsMember({"none", "wandb", "tensorboard"}))
      ->type_name("TYPE");
  field("--wandb_entity", "logging.wandb.entity", "NAME", "User or team whose the run is at Weights & Biases");
  field("--wandb_project", "logging.wandb.project", "NAME", "Project of the run at Weights & Biases");

  app->add_option("--device", flags->device, "Where to train; auto: what this machine has")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}))
      ->type_name("DEVICE");
  text(
      "--log_dir", &flags->log_dir, "DIR",
      "Append the output of all ranks to DIR/rank-N.log, and write the exit code to DIR/node-N.exit, N being the first "
      "rank here; default: rank 0 prints, the others write to logs/ in the run's folder");
  app->add_option("--gpus", flags->gpus, "Ranks to start on this machine, one a GPU (or CPU processes)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  text("--init_from", &flags->init_from, "REF",
       "Take the weights of a checkpoint, ours or the reference's, or of wdb:[ENTITY/]PROJECT/RUN");
  text("--resume_from", &flags->resume_from, "REF",
       "Go on from the full state of a checkpoint elsewhere, or of wdb:[ENTITY/]PROJECT/RUN");
  app->add_flag("--fresh", flags->fresh, "Start a new numbered run instead of going on with the latest");
  // One value each time: what follows it is not part of the list.
  app->add_option("--set", flags->set, "Set any field of the config: path.to.field=value; repeatable")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false);
  app->add_flag("--allow_fallback", flags->allow_fallback, "Take an older checkpoint if the latest is damaged");
  app->add_flag("--dry_run", flags->dry_run, "Check everything, take one step, say what the run needs; write nothing");
  app->add_flag("--preflight", flags->preflight,
                "Try all that a long run depends on: every archive, all ranks, a checkpoint, measured steps; say how "
                "long the run will take; leave nothing behind");
  app->add_option_function<std::string>(
         "--profile_steps",
         [flags](const std::string& text) {
           const absl::StatusOr<StepRange> range = ParseStepRange(text);
           if (!range.ok()) throw CLI::ValidationError("--profile_steps", std::string(range.status().message()));
           flags->profile_steps = *range;
         },
         "Write a Chrome trace of these steps, as in 10:15, to profile/ in the run's folder")
      ->type_name("FIRST:LAST");
  app->add_option(
         "--replay_step", flags->replay_step,
         "Take a step of this run's ledger again, one that was not finite, and say what it was made of; changes "
         "nothing")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app->add_flag("--print_config", flags->print_config, "Print the resolved config, and its hash on stderr; then end");
  app->add_option("--explain", flags->explain, "Explain a field or part of the config (\"\": all of it); then end")
      ->type_name("PATH");
}

}  // namespace

absl::StatusOr<TrainFlags> ParseTrainFlags(int argc, const char* const* argv) {
  TrainFlags flags;
  CLI::App app(kDescription, "train");
  app.set_help_flag("--help,-h", "Print this and exit");
  app.footer(kExamples);
  app.get_formatter()->column_width(34);
  try {
    DefineFlags(&app, &flags);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    TrainFlags help;
    help.help = app.help();
    return help;
  } catch (const CLI::Error& error) {
    return ConfigError(absl::StrCat(error.what(), "\nRun train --help for all flags."));
  }
  if (flags.config.empty() && !flags.explain.has_value()) {
    return ConfigError(
        "no config file was named. For a first run: train configs/quickstart/vae.textproto\n"
        "Run train --help for all flags.");
  }
  if (!flags.init_from.empty() && !flags.resume_from.empty()) {
    return ConfigError(
        "--init_from starts a new run from weights and --resume_from goes on with one: give one of them");
  }
  if ((flags.dry_run ? 1 : 0) + (flags.preflight ? 1 : 0) + (flags.replay_step > 0 ? 1 : 0) > 1) {
    return ConfigError("--dry_run, --preflight and --replay_step are done instead of training: give one of them");
  }
  if (flags.replay_step > 0 && flags.gpus.value_or(1) > 1) {
    return ConfigError("--replay_step takes one rank, which does what all ranks did: leave --gpus away");
  }
  return flags;
}

absl::StatusOr<ValidatedExperiment> LoadExperimentOf(const TrainFlags& flags) {
  return LoadExperiment(flags.config, flags.set, flags.fields);
}

}  // namespace cubist
