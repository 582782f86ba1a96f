#include "tools/training/loop/run.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/communicator/rank_agreement.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/logging/ledger.h"
#include "tools/training/logging/wandb_logger.h"
#include "tools/training/loop/catch_exceptions.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/loop/replay.h"
#include "tools/training/loop/run_logger.h"
#include "tools/training/loop/run_parts.h"
#include "tools/training/loop/step_profiler.h"
#include "tools/training/loop/trainer.h"
#include "tools/training/rehearsal/disk_estimate.h"

namespace cubist {
namespace {

// Null where the run is not logged there. The run's checkpoints know from here on which run it is there.
absl::StatusOr<std::unique_ptr<WandbLogger>> StartWandb(FileOps& ops, const Experiment& config,
                                                        const RunOptions& options, checkpoint::TrainingState* state) {
  if (config.logging().logger_type() != WANDB) return nullptr;
  const auto known = state->texts().find(kWandbRunId);
  WandbLoggerOptions logger;
  logger.wandb_core = options.wandb_core;
  logger.environment = CurrentEnvironment();
  logger.run_folder = options.run_directory;
  logger.config = config;
  if (known != state->texts().end()) logger.run_id = known->second;
  ASSIGN_OR_RETURN(std::unique_ptr<WandbLogger> wandb, WandbLogger::Start(ops, std::move(logger)));
  if (wandb != nullptr) (*state->mutable_texts())[kWandbRunId] = wandb->run_id();
  return wandb;
}

absl::Status Run(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator) {
  const Experiment& config = experiment.proto();
  ASSIGN_OR_RETURN(const BatchShape shape,
                   MakeBatchShape(config.batch(), communicator.rank(), communicator.world_size()));
  ASSIGN_OR_RETURN(const RunParts parts, MakeRunParts(experiment, options.device, options.local_world_size, shape));
  RETURN_IF_ERROR(AgreeOnRun(communicator, experiment, parts, options.program_version));

  const bool is_first_rank = communicator.rank() == 0;
  FileOps& ops = SystemFileOps();
  const RunFolder folder(options.run_directory);
  CheckpointStore store(ops, folder.checkpoints_path(),
                        {config.checkpoints().keep_last(), config.checkpoints().keep_every()});
  if (is_first_rank) RETURN_IF_ERROR(store.Clean());
  RETURN_IF_ERROR(communicator.Barrier());
  ASSIGN_OR_RETURN(RunStart start, StartRun(experiment, options.start, store, parts));
  // Folders that are not shared, or a fallback on one rank alone, would mix two states. Nobody saves before all have
  // read.
  RETURN_IF_ERROR(AgreeOnFields(communicator, {{"step that the run goes on from", absl::StrCat(start.state.step())},
                                               {"checkpoint that it goes on from", start.checkpoint_sha256}}));
  RETURN_IF_ERROR(CompareOptimizers(communicator, start.state.step(), *parts.optimizer));
  if (is_first_rank) RETURN_IF_ERROR(folder.WriteConfig(ops, experiment.CanonicalText()));

  std::unique_ptr<RunLogger> logger;
  if (is_first_rank) {
    const ClipIndex& clips = parts.data->clips();
    const int64_t step = start.state.step();
    ASSIGN_OR_RETURN(std::unique_ptr<WandbLogger> wandb, StartWandb(ops, config, options, &start.state));
    logger = std::make_unique<RunLogger>(ops, folder, step > 0 ? std::optional<int64_t>(step) : std::nullopt,
                                         std::move(wandb));
    for (const std::string& warning : clips.warnings()) logger->Message("warning: " + warning);
    for (const std::string& line : start.lines) logger->Message(line);
    logger->Message(absl::StrCat(config.name(), ": ", parts.optimizer->parameter_count(), " parameters; ",
                                 CountOf(clips.train_clips().size(), "clip"), " to train on, ",
                                 clips.validation_clips().size(), " to validate on; ",
                                 CountOf(shape.global(), "sample"), " a step on ", shape.world_size, " rank(s) of ",
                                 options.device));
    ASSIGN_OR_RETURN(const std::vector<int64_t> saved, store.List());
    const auto disk =
        EstimateDisk(config.checkpoints(),
                     config.training().has_max_steps() ? std::optional(config.training().max_steps()) : std::nullopt,
                     BytesToSave(*parts.optimizer), static_cast<int64_t>(saved.size()), folder.path());
    if (disk.ok() && !disk->fits()) {
      logger->Message(
          absl::StrCat("warning: checkpoints: ", Describe(*disk), "; ", WayOutOfFullDisk(*disk, config.checkpoints())));
    }
  }
  std::unique_ptr<Ledger> ledger;
  if (is_first_rank) {
    ASSIGN_OR_RETURN(ledger, Ledger::Open(ops, folder.ledger_path()));
  }
  std::unique_ptr<StepProfiler> profiler;
  if (options.profile_steps.has_value()) {
    profiler = std::make_unique<StepProfiler>(ops, *options.profile_steps, folder.path() + "/profile",
                                              communicator.rank(), options.device);
  }
  const TrainerParts trainer_parts{experiment,
                                   parts,
                                   communicator,
                                   store,
                                   logger.get(),
                                   ledger.get(),
                                   options.program_version,
                                   options.stop_requested,
                                   options.observer,
                                   profiler.get(),
                                   start.resumed_own};
  const absl::Status status = Trainer(trainer_parts, std::move(start.state)).Run();
  if (logger != nullptr) logger->Finish(status, options.stop_requested);
  return status;
}

}  // namespace

absl::Status RunTraining(const ValidatedExperiment& experiment, const RunOptions& options, Communicator& communicator) {
  return CatchExceptions([&] {
    return options.replay_step > 0 ? ReplayStep(experiment, options, communicator)
                                   : Run(experiment, options, communicator);
  });
}

}  // namespace cubist
