#include "tools/training/loop/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/loop/optimizer_state.h"

namespace cubist {
namespace {

constexpr char kValidatedStep[] = "validated_step";
constexpr char kValidationLoss[] = "val_loss";

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// "loss/struct-0" is logged as "train_loss/struct-0" or "val_loss/struct-0"; the total of validation is
// "val_loss" itself; a name without a group stays as it is.
std::string LogName(Split split, const std::string& name) {
  if (name.find('/') == std::string::npos) return name;
  if (split == Split::kValidation) return name == "loss/sum" ? kValidationLoss : "val_" + name;
  return "train_" + name;
}

// Sums over weights; a metric that nothing was counted for is left out.
Metrics MetricsOf(Split split, const std::vector<std::string>& names, const at::Tensor& sums) {
  const HostTensor host = ToHost(sums);
  const auto table = host.view<double, 2>();
  Metrics metrics;
  for (size_t i = 0; i < names.size(); ++i) {
    if (table(1, i) > 0) metrics.emplace_back(LogName(split, names[i]), table(0, i) / table(1, i));
  }
  return metrics;
}

std::optional<double> Find(const Metrics& metrics, std::string_view name) {
  for (const auto& [metric, value] : metrics) {
    if (metric == name) return value;
  }
  return std::nullopt;
}

}  // namespace

Trainer::Trainer(const TrainerParts& parts, checkpoint::TrainingState state)
    : parts_(parts), config_(parts.experiment.proto()), state_(std::move(state)) {}

bool Trainer::AtEnd() const { return config_.training().has_max_steps() && Step() >= config_.training().max_steps(); }

absl::Status Trainer::Run() {
  started_ = saved_at_ = std::chrono::steady_clock::now();
  first_step_ = interval_step_ = Step();
  if (parts_.saved_already) saved_step_ = Step();
  batches_ = parts_.data.Training(static_cast<uint64_t>(state_.samples_consumed()));
  if (ValidationDue()) RETURN_IF_ERROR(Validate());
  while (!stop_ && !AtEnd()) {
    ASSIGN_OR_RETURN(const bool taken, TakeStep());
    if (taken) RETURN_IF_ERROR(AfterStep());
  }
  RETURN_IF_ERROR(FlushPending());
  // The line that stays on a terminal has the last step's numbers.
  if (parts_.logger != nullptr && Step() > first_step_) ShowProgress();
  if (saved_step_ != Step()) RETURN_IF_ERROR(Save());
  RETURN_IF_ERROR(parts_.communicator.Barrier());
  if (!stop_) {
    if (parts_.logger != nullptr) {
      parts_.logger->Message(absl::StrCat("done: step ", Step(), ", training.max_steps is ",
                                          config_.training().max_steps(), "; a larger --max_steps takes it further"));
    }
    return absl::OkStatus();
  }
  return PreemptedError(
      absl::StrCat("asked to stop after step ", Step(), "; everything is saved, the same command goes on from there"));
}

// Sets stop_ when some rank wants to stop; returns whether some rank gave the step up.
absl::StatusOr<bool> Trainer::Agree(bool step_is_void) {
  const at::Tensor wishes = at::zeros({2}, at::kLong);
  wishes.data_ptr<int64_t>()[0] = parts_.stop_requested() ? 1 : 0;
  wishes.data_ptr<int64_t>()[1] = step_is_void ? 1 : 0;
  RETURN_IF_ERROR(parts_.communicator.AllReduceMax(wishes));
  stop_ = wishes.data_ptr<int64_t>()[0] != 0;
  return wishes.data_ptr<int64_t>()[1] != 0;
}

// False if the step was given up; nothing but gradient() has changed then.
absl::StatusOr<bool> Trainer::TakeStep() {
  const auto begin = std::chrono::steady_clock::now();
  parts_.optimizer.ZeroGradient();
  at::Tensor metric_sums;
  bool interrupted = false;
  const bool picture_due = parts_.logger != nullptr && config_.logging().picture_interval_steps() > 0 &&
                           (Step() + 1) % config_.logging().picture_interval_steps() == 0;
  for (int64_t micro_batch = 0; micro_batch < parts_.shape.accumulate; ++micro_batch) {
    ASSIGN_OR_RETURN(const std::shared_ptr<TaskBatch> batch, batches_->Next(parts_.stop_requested));
    interrupted = batch == nullptr;
    if (interrupted) break;
    ASSIGN_OR_RETURN(const Evaluation evaluation, parts_.task.Evaluate(*batch, Step(), /*training=*/true));
    evaluation.loss.backward();
    const at::NoGradGuard no_gradients;
    if (micro_batch + 1 < parts_.shape.accumulate) parts_.optimizer.BetweenMicroBatches(parts_.shape.of_rank());
    const at::Tensor sums = evaluation.metrics.Sums();
    metric_sums = metric_sums.defined() ? metric_sums.add_(sums) : sums;
    metric_names_ = evaluation.metrics.names();
    if (picture_due && micro_batch == 0) picture_batch_ = batch;
  }
  ASSIGN_OR_RETURN(const bool given_up, Agree(interrupted));
  if (given_up) return false;

  const at::NoGradGuard no_gradients;
  RETURN_IF_ERROR(parts_.communicator.AllReduceSum(parts_.optimizer.gradient()));
  RETURN_IF_ERROR(parts_.communicator.AllReduceSum(metric_sums));
  parts_.optimizer.Step(parts_.shape.global());
  metric_sums_ = metric_sums;
  state_.set_step(Step() + 1);
  state_.set_samples_consumed(state_.samples_consumed() + parts_.shape.global());
  step_seconds_ += SecondsSince(begin);
  return true;
}

absl::Status Trainer::AfterStep() {
  if (parts_.logger != nullptr) ShowProgress();
  if (Step() % config_.logging().interval_steps() == 0 || AtEnd()) {
    RETURN_IF_ERROR(FlushPending());
    SetPendingAside();
  }
  if (picture_batch_ != nullptr) {
    const std::shared_ptr<TaskBatch> batch = std::exchange(picture_batch_, nullptr);
    RETURN_IF_ERROR(DrawPicture(*batch, "train", "img/sample_train"));
  }
  if (!stop_ && ValidationDue()) RETURN_IF_ERROR(Validate());
  if (SaveDue()) RETURN_IF_ERROR(Save());
  return absl::OkStatus();
}

// What the console shows of a step: the newest loss that was read, and these rates.
StepStatus Trainer::StatusOf(int64_t step, double samples_per_second, double data_wait) const {
  StepStatus status;
  status.step = step;
  if (config_.training().has_max_steps()) {
    status.total_steps = config_.training().max_steps();
    status.eta_seconds = step_seconds_ / static_cast<double>(Step() - first_step_) *
                         static_cast<double>(config_.training().max_steps() - Step());
  }
  status.loss = last_loss_;
  status.gradient_norm = last_norm_;
  status.learning_rate = parts_.optimizer.LearningRateOfStep(step - 1);
  status.samples_per_second = samples_per_second;
  status.data_wait = data_wait;
  return status;
}

void Trainer::ShowProgress() {
  const double steps = static_cast<double>(Step() - first_step_);
  parts_.logger->Progress(StatusOf(Step(), steps * static_cast<double>(parts_.shape.global()) / step_seconds_,
                                   batches_->waited_seconds() / step_seconds_));
}

void Trainer::SetPendingAside() {
  const double seconds = step_seconds_ - interval_step_seconds_, waited = batches_->waited_seconds();
  const double steps = static_cast<double>(Step() - interval_step_);
  pending_ = Pending{Step(),
                     metric_sums_,
                     parts_.optimizer.gradient_norm().clone(),
                     parts_.optimizer.skipped_steps().clone(),
                     state_.samples_consumed(),
                     steps * static_cast<double>(parts_.shape.global()) / seconds,
                     (waited - interval_wait_) / seconds};
  interval_step_seconds_ = step_seconds_;
  interval_step_ = Step();
  interval_wait_ = waited;
}

// Reads the numbers that were set aside and writes them.
absl::Status Trainer::FlushPending() {
  if (!pending_.has_value()) return absl::OkStatus();
  const Pending pending = *std::exchange(pending_, std::nullopt);
  const Metrics sums = MetricsOf(Split::kTrain, metric_names_, pending.metric_sums);
  last_loss_ = Find(sums, "train_loss/sum");
  last_norm_ = pending.gradient_norm.item<double>();
  const double learning_rate = parts_.optimizer.LearningRateOfStep(pending.step - 1);
  if (parts_.logger != nullptr) {
    Metrics metrics = sums;
    metrics.emplace_back("gradient_norm", *last_norm_);
    metrics.emplace_back("lr-AdamW", learning_rate);
    metrics.emplace_back(
        "epoch", static_cast<double>(pending.samples_consumed / static_cast<int64_t>(parts_.data.samples_per_epoch())));
    metrics.emplace_back("val_step", static_cast<double>(pending.step));
    metrics.emplace_back("samples_per_second", pending.samples_per_second);
    metrics.emplace_back("data_wait", pending.data_wait);
    parts_.logger->Row(pending.step, Split::kTrain, metrics);
    parts_.logger->IntervalLine(StatusOf(pending.step, pending.samples_per_second, pending.data_wait));
  }
  return CheckFinite(pending.skipped, pending.step);
}

absl::Status Trainer::CheckFinite(const at::Tensor& skipped, int64_t step) const {
  const int64_t count = skipped.item<int64_t>();
  if (count == 0) return absl::OkStatus();
  return NotFiniteError(absl::StrCat("the gradient of ", count, " of the steps up to ", step,
                                     " was not finite; those steps were not applied and nothing was saved since. "
                                     "Lower learning_rate.initial, or look at the losses in metrics.jsonl"));
}

bool Trainer::ValidationDue() const {
  const Validation& validation = config_.validation();
  const auto done = state_.counters().find(kValidatedStep);
  if (done != state_.counters().end() && done->second == Step()) return false;
  if (parts_.data.validation_samples() == 0 ||
      (validation.interval_epochs() == 0 && !validation.has_interval_steps())) {
    return false;
  }
  if (Step() == 0) return validation.at_start();
  if (AtEnd()) return true;
  if (validation.has_interval_steps()) return Step() % validation.interval_steps() == 0;
  // The step in which an epoch ends, for every so many epochs.
  const uint64_t period = parts_.data.samples_per_epoch() * static_cast<uint64_t>(validation.interval_epochs());
  const uint64_t consumed = static_cast<uint64_t>(state_.samples_consumed());
  return consumed / period != (consumed - static_cast<uint64_t>(parts_.shape.global())) / period;
}

absl::Status Trainer::Validate() {
  RETURN_IF_ERROR(FlushPending());
  const at::NoGradGuard no_gradients;
  const std::unique_ptr<BatchSource> batches = parts_.data.Validation();
  const int64_t count = parts_.data.validation_batches();
  std::vector<std::string> names;
  at::Tensor sums;
  for (int64_t i = 0; i < count && !parts_.stop_requested(); ++i) {
    ASSIGN_OR_RETURN(const std::shared_ptr<TaskBatch> batch, batches->Next(parts_.stop_requested));
    if (batch == nullptr) break;
    ASSIGN_OR_RETURN(const Evaluation evaluation, parts_.task.Evaluate(*batch, Step(), /*training=*/false));
    const at::Tensor batch_sums = evaluation.metrics.Sums();
    sums = sums.defined() ? sums.add_(batch_sums) : batch_sums;
    names = evaluation.metrics.names();
    if (parts_.logger != nullptr && i == 0) RETURN_IF_ERROR(DrawPicture(*batch, "validation", "img/sample_val"));
  }
  RETURN_IF_ERROR(Agree(/*step_is_void=*/false).status());
  if (stop_) return absl::OkStatus();  // the next start validates this step again

  // A rank without a sample does not know how many metrics there are.
  const at::Tensor metric_count = at::tensor({static_cast<int64_t>(names.size())}, at::kLong);
  RETURN_IF_ERROR(parts_.communicator.AllReduceMax(metric_count));
  if (!sums.defined()) sums = at::zeros({2, metric_count.item<int64_t>()}, at::kDouble);
  RETURN_IF_ERROR(parts_.communicator.AllReduceSum(sums));

  (*state_.mutable_counters())[kValidatedStep] = Step();
  if (parts_.logger == nullptr) return absl::OkStatus();
  Metrics metrics = MetricsOf(Split::kValidation, names, sums);
  if (const std::optional<double> loss = Find(metrics, kValidationLoss)) {
    const auto best = state_.best_metrics().find(kValidationLoss);
    if (best == state_.best_metrics().end() || *loss < best->second) {
      (*state_.mutable_best_metrics())[kValidationLoss] = *loss;
      (*state_.mutable_best_steps())[kValidationLoss] = Step();
    }
    metrics.emplace_back("best/val_loss", state_.best_metrics().at(kValidationLoss));
  }
  metrics.emplace_back("val_step", static_cast<double>(Step()));
  parts_.logger->Row(Step(), Split::kValidation, metrics);
  std::string line = absl::StrCat("validation at step ", Step(), ":");
  for (const char* name : {"val_loss", "val_metric/iou-0", "val_metric/miou"}) {
    if (const std::optional<double> value = Find(metrics, name)) {
      absl::StrAppend(&line, "  ", name, " ", absl::StrFormat("%.4g", *value));
    }
  }
  parts_.logger->Message(line);
  return absl::OkStatus();
}

absl::Status Trainer::DrawPicture(const TaskBatch& batch, const std::string& name, const std::string& tag) {
  ASSIGN_OR_RETURN(const HostTensor picture, parts_.task.Picture(batch, Step()));
  parts_.logger->Picture(Step(), name, tag, picture);
  return absl::OkStatus();
}

bool Trainer::SaveDue() const {
  const Checkpoints& checkpoints = config_.checkpoints();
  if (checkpoints.interval_steps() > 0 && Step() % checkpoints.interval_steps() == 0) return true;
  return checkpoints.interval_minutes() > 0 && SecondsSince(saved_at_) > 60 * checkpoints.interval_minutes();
}

absl::Status Trainer::Save() {
  RETURN_IF_ERROR(FlushPending());
  // A checkpoint never holds a step that was counted and not taken.
  RETURN_IF_ERROR(CheckFinite(parts_.optimizer.skipped_steps(), Step()));
  saved_step_ = Step();
  saved_at_ = std::chrono::steady_clock::now();
  if (parts_.store == nullptr) return absl::OkStatus();
  parts_.logger->Sync();

  CheckpointContents contents;
  HostOptimizerState host = CopyOptimizer(parts_.optimizer);
  contents.groups = std::move(host.groups);
  contents.state = state_;
  contents.state.set_elapsed_seconds(state_.elapsed_seconds() + SecondsSince(started_));
  contents.config_text = parts_.experiment.CanonicalText();
  contents.config_hash = parts_.experiment.Hash();
  contents.program_version = parts_.program_version;
  ASSIGN_OR_RETURN(const SaveReport report, parts_.store->Save(contents));
  if (!report.removal.ok()) {
    parts_.logger->Message(absl::StrCat("warning: old checkpoints stay: ", report.removal.message()));
  }
  return absl::OkStatus();
}

}  // namespace cubist
