#include "tools/train_worker_main.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "base/command_line.h"
#include "base/program_version.h"
#include "base/status.h"
#include "configs/loader.h"
#include "tools/training/communicator/gloo_communicator.h"
#include "tools/training/communicator/stop_signal.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/loop/run.h"
#include "tools/training/loop/step_range.h"
#include "tools/training/rehearsal/rehearsal.h"

namespace cubist {
namespace {

absl::StatusOr<std::unique_ptr<Communicator>> Connect(const WorkerPlace& place, const Experiment& config,
                                                      bool preflight) {
  if (place.world_size == 1) return MakeSingleProcessCommunicator();
  GlooOptions options;
  options.rank = place.rank;
  options.world_size = place.world_size;
  options.master_address = place.master_address;
  options.master_port = place.master_port;
  options.store_is_external = place.store_is_external;
  options.listen_descriptor = place.listen_descriptor;
  options.session = place.session;
  options.deadline = std::chrono::milliseconds(static_cast<int64_t>(config.training().peer_deadline_seconds() * 1000));
  // Each node looks at its archives first.
  if (preflight) options.meeting_deadline = std::chrono::hours(2);
  options.stop_requested = [] { return StopRequested(); };
  return ConnectGloo(options);
}

// What the command line asks for beside a run's options.
struct WorkerTask {
  std::string config;
  std::string rehearse;  // "dry_run", "preflight"; empty: train
  RehearsalOptions rehearsal;
};

absl::Status Work(const WorkerTask& task, RunOptions options) {
  ASSIGN_OR_RETURN(const WorkerPlace place, ReadWorkerPlace(CurrentEnvironment()));
  if (options.replay_step > 0 && place.world_size > 1) {
    return ConfigError("--replay_step takes one rank, which does what all ranks did");
  }
  options.local_world_size = place.local_world_size;
  ASSIGN_OR_RETURN(const ValidatedExperiment experiment, LoadExperiment(task.config));
  RehearsalOptions rehearsal = task.rehearsal;
  rehearsal.world_size = place.world_size;
  rehearsal.preflight = task.rehearse == "preflight";
  // A dry run is rank 0 alone, whatever the plan.
  ASSIGN_OR_RETURN(const std::unique_ptr<Communicator> communicator,
                   task.rehearse == "dry_run" ? MakeSingleProcessCommunicator()
                                              : Connect(place, experiment.proto(), rehearsal.preflight));
  const absl::Status status = task.rehearse.empty() ? RunTraining(experiment, options, *communicator)
                                                    : RehearseRun(experiment, options, rehearsal, *communicator);
  // A rank that was told to stop, or is done, leaves together with the others.
  if (!status.ok() && ExitCodeOf(status) != ExitCode::kPreempted) communicator->Abort(std::string(status.message()));
  return status;
}

}  // namespace

int TrainWorkerMain(int argc, char** argv, RunObserver* observer) {
  InstallStopSignalHandlers();
  // A reader of the output that leaves is no reason to lose a run.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("One rank of a training run; use `train`, which starts it.");
  WorkerTask task;
  RunOptions options;
  app.add_option("--config", task.config, "Resolved config")->required();
  app.add_option("--run_dir", options.run_directory, "Run folder, which exists")->required();
  app.add_option("--device", options.device, "cpu or cuda");
  app.add_option("--init_from", options.start.init_from, "Weights to start from");
  app.add_option("--resume_from", options.start.resume_from, "Run or checkpoint to go on from");
  app.add_flag("--allow_fallback", options.start.allow_fallback, "Take an older checkpoint if the latest is damaged");
  app.add_option("--replay_step", options.replay_step, "Take this step of the run's ledger again instead");
  std::string profile_steps;
  app.add_option("--profile_steps", profile_steps, "Steps to write a Chrome trace of, as 10:15");
  app.add_option("--wandb_core", options.wandb_core, "Path of that program, for logging.logger_type: WANDB");
  app.add_option("--rehearse", task.rehearse, "Try the run out instead")
      ->check(CLI::IsMember({"dry_run", "preflight"}));
  app.add_option("--trial_folder", task.rehearsal.trial_folder, "Where a preflight's checkpoint goes");
  app.add_option("--failed_before", task.rehearsal.failed_before, "Checks that failed before the ranks started")
      ->delimiter(',');
  app.add_flag("--data_is_made_up", task.rehearsal.data_is_made_up, "The data was made for this rehearsal");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kConfig);
  }
  if (!profile_steps.empty()) {
    const absl::StatusOr<StepRange> range = ParseStepRange(profile_steps);
    if (!range.ok()) return FinishProgram("train", range.status());
    options.profile_steps = *range;
  }
  options.program_version = ProgramVersion();
  options.observer = observer;
  options.stop_requested = [] { return StopRequested(); };
  const int code = FinishProgram("train", Work(task, options));
  // Threads of a failed communicator may still wait for lost peers; nothing is left to be torn down.
  std::fflush(nullptr);
  std::_Exit(code);
}

}  // namespace cubist
