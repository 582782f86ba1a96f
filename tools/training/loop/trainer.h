// The training loop.
//
// After each step (training_step.h):
// 1. At a log interval the numbers of this step are set aside and those of the last interval are read
//    and written: the host never waits for the step at hand. With them it is seen which steps were not finite.
// 2. Validation and saving, when due, once all steps so far have been looked at; a stop saves and ends with
//    exit code 75.
//
// A step that was not finite moved no parameter, moment, average or step count of the optimizer: the device saw to
// that. What else happens is config.not_finite.policy, the same on all ranks, because they see the same numbers:
//   FAIL      the run ends; its checkpoints hold nothing since.
//   SKIP      the run goes on with the next draws.
//   ROLLBACK  the state of the last checkpoint that was due by checkpoints.interval_steps (or of the start) is
//             loaded, and goes on with the draws after those of the bad step.
//
// What a run computes depends on the config, the data and the number of draws consumed, and on
// nothing else: resuming from a checkpoint goes on with the same tensors, bit for bit.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/logging/ledger.h"
#include "tools/training/loop/run_logger.h"
#include "tools/training/loop/run_observer.h"
#include "tools/training/loop/run_parts.h"
#include "tools/training/loop/skip_account.h"
#include "tools/training/loop/step_profiler.h"
#include "tools/training/loop/training_step.h"

namespace cubist {

// What a trainer works with; everything outlives it.
struct TrainerParts {
  const ValidatedExperiment& experiment;
  const RunParts& run;
  Communicator& communicator;
  CheckpointStore& store;  // only rank 0 writes to it
  RunLogger* logger;       // rank 0 only
  Ledger* ledger;          // rank 0 only
  std::string program_version;
  std::function<bool()> stop_requested;
  RunObserver* observer;   // may be null
  StepProfiler* profiler;  // may be null
  bool saved_already;      // the run's own folder holds a checkpoint of the state at hand
};

class Trainer {
 public:
  // `state`: where the run stands; what a checkpoint held, or a new one with the seed only. The
  // optimizer's storage has been restored accordingly.
  Trainer(const TrainerParts& parts, checkpoint::TrainingState state);

  // Trains to training.max_steps. OK at the end; a PreemptedError when it was asked to stop and has saved;
  // NotFiniteError, DataError, StorageError or PeerLostError otherwise.
  absl::Status Run();

 private:
  // A step that nobody has looked at yet.
  struct Unexamined {
    int64_t step, first_draw, samples_used;
    at::Tensor outcome;
  };
  // Where the run stood last in a state that can be had again: its start, a save, a rollback.
  struct Origin {
    int64_t step, samples_consumed;
  };
  // Of steps alone, without validation, pictures and saving.
  struct Meter {
    int64_t steps = 0;
    double seconds = 0, data_wait = 0;
  };

  // Numbers of a step that are still on the device.
  struct Pending {
    int64_t step;
    at::Tensor metric_sums, outcome, optimizer_steps;
    std::vector<std::string> metric_names;
    int64_t samples_consumed, samples_used;
    Meter meter;  // of the interval
  };

  absl::StatusOr<bool> TakeStep();
  absl::Status AfterStep();
  absl::StatusOr<bool> Examine(int64_t up_to_step);
  absl::StatusOr<bool> HandleNotFinite(const Unexamined& step, double loss, double gradient_norm);
  absl::Status Rollback(int64_t samples_consumed);
  absl::Status Validate();
  // Why a checkpoint is saved: by its interval, by the clock, because nothing can go on without it, because the
  // run ends. The latter two have to succeed.
  enum class Saving { kPlanned, kTimed, kNeeded, kLast };
  absl::Status Save(Saving saving);
  SavedCheckpoint DescribeSaved(const std::string& folder) const;
  void FlushPending();
  void SetPendingAside();
  StepStatus StatusOf(int64_t step, const Meter& meter) const;
  void ShowProgress();
  // What goes wrong with a profile is no reason to end a run.
  void Warn(const absl::Status& status) const;
  absl::Status DrawPicture(const TaskBatch& batch, const std::string& name, const std::string& tag);
  bool ValidationDue() const;
  bool PlannedSaveDue() const;
  int64_t RollbackBase() const;
  bool WishToSave() const;
  bool AtEnd() const;
  bool IsFirstRank() const { return parts_.communicator.rank() == 0; }
  int64_t Step() const { return state_.step(); }
  void KeepForReplay(int64_t bad_step);
  void KeepBases();
  void ForgetBases();

  const TrainerParts parts_;
  const Experiment& config_;
  FlatOptimizer& optimizer_;
  checkpoint::TrainingState state_;
  SkipAccount account_;
  TrainingStep training_step_;
  std::unique_ptr<BatchSource> batches_;
  StepResult last_;
  std::deque<Unexamined> unexamined_;
  std::optional<Pending> pending_;
  std::optional<double> last_loss_, last_norm_, last_learning_rate_;
  bool stop_ = false;  // agreed by all ranks
  Origin origin_{};
  int64_t saved_step_ = -1;
  std::chrono::steady_clock::time_point started_, saved_at_;
  Meter meter_, interval_;  // since the start or a rollback, and when the last log line was due
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_
