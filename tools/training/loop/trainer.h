// The training loop.
//
// A step:
// 1. Each micro-batch is evaluated and its loss, the sum over its samples, differentiated into the flat
//    gradient. Metrics are summed on the device.
// 2. Ranks agree whether one of them wants to stop or gave the step up while it waited for data; then
//    gradient and metrics are summed over ranks.
// 3. The gradient is divided by the global batch, checked, clamped, and AdamW takes a step if it is
//    finite: all on the device.
// 4. At a log interval the numbers of this step are set aside and those of the last interval are read
//    and written: the host never waits for the step at hand.
// 5. Validation and saving, when due; a stop saves and ends with exit code 75.
//
// What a run computes depends on the config, the data and the number of draws consumed, and on
// nothing else: resuming from a checkpoint goes on with the same tensors, bit for bit.
#ifndef CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_
#define CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/loader.h"
#include "tools/tasks/task.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/communicator/communicator.h"
#include "tools/training/loop/batch_source.h"
#include "tools/training/loop/run_logger.h"
#include "tools/training/optimizer/flat_optimizer.h"

namespace cubist {

// What a trainer works with; everything outlives it.
struct TrainerParts {
  const ValidatedExperiment& experiment;
  const Task& task;
  const RunData& data;
  const BatchShape& shape;
  FlatOptimizer& optimizer;
  Communicator& communicator;
  CheckpointStore* store = nullptr;  // rank 0 only
  RunLogger* logger = nullptr;       // rank 0 only
  std::string program_version;
  std::function<bool()> stop_requested;
  bool saved_already = false;  // the run's own folder holds a checkpoint of the state at hand
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
  // Numbers of a step that are still on the device.
  struct Pending {
    int64_t step;
    at::Tensor metric_sums, gradient_norm, skipped;
    int64_t samples_consumed;
    double samples_per_second, data_wait;
  };

  absl::StatusOr<bool> TakeStep();
  absl::StatusOr<bool> Agree(bool step_is_void);
  absl::Status AfterStep();
  absl::Status Validate();
  absl::Status Save();
  absl::Status FlushPending();
  absl::Status CheckFinite(const at::Tensor& skipped, int64_t step) const;
  void SetPendingAside();
  StepStatus StatusOf(int64_t step, double samples_per_second, double data_wait) const;
  void ShowProgress();
  absl::Status DrawPicture(const TaskBatch& batch, const std::string& name, const std::string& tag);
  bool ValidationDue() const;
  bool SaveDue() const;
  bool AtEnd() const;
  int64_t Step() const { return state_.step(); }

  TrainerParts parts_;
  const Experiment& config_;
  checkpoint::TrainingState state_;
  std::unique_ptr<BatchSource> batches_;
  std::vector<std::string> metric_names_;
  at::Tensor metric_sums_;  // double [2, names] of the last step, over all ranks
  std::optional<Pending> pending_;
  std::optional<double> last_loss_, last_norm_;
  bool stop_ = false;  // agreed by all ranks
  int64_t saved_step_ = -1;
  std::shared_ptr<TaskBatch> picture_batch_;  // of the step at hand, when its picture is due
  std::chrono::steady_clock::time_point started_, saved_at_;
  int64_t first_step_ = 0;
  // Of steps alone, without validation, pictures and saving: since the start, and up to the last log line.
  double step_seconds_ = 0;
  int64_t interval_step_ = 0;
  double interval_step_seconds_ = 0, interval_wait_ = 0;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOOP_TRAINER_H_
