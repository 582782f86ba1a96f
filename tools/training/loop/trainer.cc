#include "tools/training/loop/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "tools/interchange/own_checkpoint.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/training/checkpoint/rank_checkpoint.h"
#include "tools/training/communicator/rank_agreement.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/loop/validation.h"

namespace cubist {
namespace {

constexpr char kValidatedStep[] = "validated_step";
constexpr char kValidationLoss[] = "val_loss";
// "replay_base/12": the checkpoint that is kept so that the bad step 12 can be taken again.
constexpr char kReplayBase[] = "replay_base/";
// The checkpoint that a rollback goes back to.
constexpr char kRollbackBase[] = "rollback_base";

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
    : parts_(parts),
      config_(parts.experiment.proto()),
      optimizer_(*parts.run.optimizer),
      state_(std::move(state)),
      account_(config_, parts.communicator, parts.ledger, parts.logger, state_),
      training_step_(*parts.run.task, parts.run.shape, optimizer_, parts.communicator, parts.observer) {}

bool Trainer::AtEnd() const { return config_.training().has_max_steps() && Step() >= config_.training().max_steps(); }

absl::Status Trainer::Run() {
  started_ = saved_at_ = std::chrono::steady_clock::now();
  origin_ = {Step(), state_.samples_consumed()};
  if (parts_.saved_already) {
    saved_step_ = Step();
  } else {
    ForgetBases();  // of a run elsewhere that this one goes on from
  }
  KeepBases();
  batches_ = parts_.run.data->Training(static_cast<uint64_t>(state_.samples_consumed()));
  if (ValidationDue()) RETURN_IF_ERROR(Validate());
  if (config_.not_finite().policy() == NotFinite::ROLLBACK) {
    // A rollback needs a state to go back to. Under another policy retention may have taken it.
    ASSIGN_OR_RETURN(const std::vector<int64_t> saved, parts_.store.List());
    if (std::count(saved.begin(), saved.end(), RollbackBase()) == 0) RETURN_IF_ERROR(Save(Saving::kNeeded));
  }
  while (!stop_ && !AtEnd()) {
    const int64_t step = Step() + 1;  // a rollback may change where the run stands
    if (parts_.profiler != nullptr) Warn(parts_.profiler->BeginStep(step));
    ASSIGN_OR_RETURN(const bool counts, TakeStep());
    if (!counts) continue;
    RETURN_IF_ERROR(AfterStep());
    if (parts_.profiler != nullptr) Warn(parts_.profiler->EndStep(step));
  }
  if (parts_.profiler != nullptr) {
    Warn(parts_.profiler->Finish());
    if (parts_.logger != nullptr && parts_.profiler->done()) {
      parts_.logger->Message(absl::StrCat("profile: ", parts_.profiler->path()));
    }
  }
  FlushPending();
  RETURN_IF_ERROR(Examine(Step()).status());
  // The line that stays on a terminal has the last step's numbers.
  if (parts_.logger != nullptr && meter_.steps > 0) ShowProgress();
  if (saved_step_ != Step()) RETURN_IF_ERROR(Save(Saving::kLast));
  RETURN_IF_ERROR(parts_.communicator.Barrier());
  if (parts_.logger != nullptr) {
    if (const std::string totals = account_.Totals(); !totals.empty()) parts_.logger->Message(totals);
  }
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

void Trainer::Warn(const absl::Status& status) const {
  if (status.ok()) return;
  const std::string line = absl::StrCat("warning: ", std::string(status.message()));
  parts_.logger != nullptr ? parts_.logger->Message(line)
                           : static_cast<void>(std::fprintf(stderr, "%s\n", line.c_str()));
}

// False if some rank gave the step up; nothing but the gradient has changed then.
absl::StatusOr<bool> Trainer::TakeStep() {
  const auto begin = std::chrono::steady_clock::now();
  const double waited_before = batches_->waited_seconds();
  const int64_t first_draw = state_.samples_consumed(), samples = parts_.run.shape.global();
  ASSIGN_OR_RETURN(last_, training_step_.Take(*batches_, Step(), first_draw, WishToSave(), parts_.stop_requested));
  stop_ = last_.stop;
  if (last_.given_up) return false;
  state_.set_step(Step() + 1);
  state_.set_samples_consumed(first_draw + samples);
  unexamined_.push_back({Step(), first_draw, last_.samples_used, last_.outcome});
  RETURN_IF_ERROR(account_.AddBadSamples(Split::kTrain, Step(), last_.samples_bad, last_.bad));
  ++meter_.steps;
  meter_.seconds += SecondsSince(begin);
  meter_.data_wait += batches_->waited_seconds() - waited_before;
  return true;
}

absl::Status Trainer::AfterStep() {
  if (parts_.logger != nullptr) ShowProgress();
  if (Step() % config_.logging().interval_steps() == 0 || AtEnd()) {
    const int64_t due = pending_.has_value() ? pending_->step : 0;
    FlushPending();
    SetPendingAside();
    ASSIGN_OR_RETURN(const bool rolled_back, Examine(due));
    if (rolled_back) return absl::OkStatus();
  }
  // What is validated or saved has been looked at; and the end is one only if nothing has to be done again.
  const bool planned = PlannedSaveDue(), save = planned || last_.save;
  const bool validate = !stop_ && ValidationDue();
  if (validate || save || stop_ || AtEnd()) {
    ASSIGN_OR_RETURN(const bool rolled_back, Examine(Step()));
    if (rolled_back) return absl::OkStatus();
  }
  const int64_t check_interval = config_.training().rank_check_interval_steps();
  if (check_interval > 0 && Step() % check_interval == 0) {
    RETURN_IF_ERROR(CompareOptimizers(parts_.communicator, Step(), optimizer_));
  }
  const int64_t picture_interval = config_.logging().picture_interval_steps();
  if (parts_.logger != nullptr && picture_interval > 0 && Step() % picture_interval == 0 &&
      last_.first_batch != nullptr) {
    RETURN_IF_ERROR(DrawPicture(*last_.first_batch, "train", "img/sample_train"));
  }
  last_.first_batch.reset();
  if (validate) RETURN_IF_ERROR(Validate());
  return save ? Save(planned ? Saving::kPlanned : Saving::kTimed) : absl::OkStatus();
}

// Looks at the outcomes of the steps up to this one. True if the run was rolled back: it stands elsewhere now.
absl::StatusOr<bool> Trainer::Examine(int64_t up_to_step) {
  std::vector<Unexamined> steps;
  std::vector<at::Tensor> outcomes;
  while (!unexamined_.empty() && unexamined_.front().step <= up_to_step) {
    outcomes.push_back(unexamined_.front().outcome);
    steps.push_back(std::move(unexamined_.front()));
    unexamined_.pop_front();
  }
  if (steps.empty()) return false;
  const HostTensor host = ToHost(at::stack(outcomes));
  const auto table = host.view<double, 2>();
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool taken = table(i, 2) != 0;
    if (taken || steps[i].samples_used == 0) continue;
    ASSIGN_OR_RETURN(const bool rolled_back, HandleNotFinite(steps[i], table(i, 0), table(i, 1)));
    if (rolled_back) return true;
  }
  return false;
}

absl::StatusOr<bool> Trainer::HandleNotFinite(const Unexamined& step, double loss, double gradient_norm) {
  const NotFinite::Policy policy = config_.not_finite().policy();
  NotFiniteEvent event;
  event.step = step.step;
  event.first_draw = step.first_draw;
  event.samples = parts_.run.shape.global();
  event.loss = loss;
  event.gradient_norm = gradient_norm;
  event.replay_from_step = origin_.step;
  event.replay_from_draw = origin_.samples_consumed;
  event.action = policy == NotFinite::FAIL   ? "failed; nothing since was saved"
                 : policy == NotFinite::SKIP ? "skipped; nothing moved"
                                             : absl::StrCat("rolled back to step ", RollbackBase());
  KeepForReplay(step.step);
  RETURN_IF_ERROR(account_.AddNotFiniteStep(event));
  if (policy != NotFinite::ROLLBACK) return false;
  RETURN_IF_ERROR(Rollback(step.first_draw + parts_.run.shape.global()));
  return true;
}

void Trainer::KeepForReplay(int64_t bad_step) {
  const auto kept = std::count_if(state_.counters().begin(), state_.counters().end(),
                                  [](const auto& entry) { return absl::StartsWith(entry.first, kReplayBase); });
  if (kept >= config_.not_finite().keep_for_replay() || saved_step_ != origin_.step) return;
  (*state_.mutable_counters())[absl::StrCat(kReplayBase, bad_step)] = origin_.step;
  KeepBases();
}

void Trainer::ForgetBases() {
  auto& counters = *state_.mutable_counters();
  for (auto entry = counters.begin(); entry != counters.end();) {
    const bool is_base = entry->first == kRollbackBase || absl::StartsWith(entry->first, kReplayBase);
    entry = is_base ? counters.erase(entry) : std::next(entry);
  }
}

// Retention leaves alone what a replay or a rollback needs.
void Trainer::KeepBases() {
  std::set<int64_t> steps;
  for (const auto& [name, step] : state_.counters()) {
    const bool for_rollback = name == kRollbackBase && config_.not_finite().policy() == NotFinite::ROLLBACK;
    if (for_rollback || absl::StartsWith(name, kReplayBase)) steps.insert(step);
  }
  parts_.store.Keep(std::move(steps));
}

// Back to the last planned checkpoint, and on with the draw `samples_consumed`.
absl::Status Trainer::Rollback(int64_t samples_consumed) {
  ASSIGN_OR_RETURN(Checkpoint loaded, parts_.store.Load(RollbackBase()));
  const std::unique_ptr<AnyCheckpoint> checkpoint = AsAnyCheckpoint(std::move(loaded));
  RETURN_IF_ERROR(RestoreOptimizer(*checkpoint, optimizer_));
  checkpoint::TrainingState state = checkpoint->description().state;
  state.set_samples_consumed(samples_consumed);
  // What the run went through stays so.
  state.set_skipped_steps(state_.skipped_steps());
  state.set_skipped_samples(state_.skipped_samples());
  state.set_elapsed_seconds(state_.elapsed_seconds());
  for (const auto& [name, step] : state_.counters()) {
    if (absl::StartsWith(name, kReplayBase)) (*state.mutable_counters())[name] = step;
  }
  state_ = std::move(state);
  saved_step_ = Step();
  origin_ = {Step(), samples_consumed};
  batches_ = parts_.run.data->Training(static_cast<uint64_t>(samples_consumed));
  unexamined_.clear();
  pending_.reset();
  meter_ = interval_ = Meter();
  if (parts_.logger != nullptr) parts_.logger->Rewind(Step());
  return absl::OkStatus();
}

// What the console shows of a step: the newest loss that was read, and the meter's rates.
StepStatus Trainer::StatusOf(int64_t step, const Meter& meter) const {
  StepStatus status;
  status.step = step;
  if (config_.training().has_max_steps()) {
    status.total_steps = config_.training().max_steps();
    status.eta_seconds = meter_.seconds / static_cast<double>(meter_.steps) *
                         static_cast<double>(config_.training().max_steps() - Step());
  }
  status.loss = last_loss_;
  status.gradient_norm = last_norm_;
  status.learning_rate = last_learning_rate_.value_or(optimizer_.LearningRateOfStep(std::max<int64_t>(0, Step() - 1)));
  status.samples_per_second =
      static_cast<double>(meter.steps) * static_cast<double>(parts_.run.shape.global()) / meter.seconds;
  status.data_wait = meter.data_wait / meter.seconds;
  return status;
}

void Trainer::ShowProgress() { parts_.logger->Progress(StatusOf(Step(), meter_)); }

void Trainer::SetPendingAside() {
  const Meter since{meter_.steps - interval_.steps, meter_.seconds - interval_.seconds,
                    meter_.data_wait - interval_.data_wait};
  pending_ = Pending{Step(),
                     last_.metric_sums,
                     last_.outcome,
                     optimizer_.steps().clone(),
                     last_.metric_names,
                     state_.samples_consumed(),
                     last_.samples_used,
                     since};
  interval_ = meter_;
}

// Reads the numbers that were set aside and writes them.
void Trainer::FlushPending() {
  if (!pending_.has_value()) return;
  const Pending pending = *std::exchange(pending_, std::nullopt);
  Metrics metrics = MetricsOf(Split::kTrain, pending.metric_names, pending.metric_sums);
  last_loss_ = Find(metrics, "train_loss/sum");
  // A step whose samples were all bad has no gradient.
  last_norm_ = pending.samples_used > 0 ? std::optional<double>(pending.outcome[1].item<double>()) : std::nullopt;
  // The rate of the last step that was taken: one that was skipped is not counted.
  last_learning_rate_ =
      optimizer_.LearningRateOfStep(std::max<int64_t>(0, pending.optimizer_steps.item<int64_t>() - 1));
  if (parts_.logger == nullptr) return;
  const StepStatus status = StatusOf(pending.step, pending.meter);
  if (last_norm_.has_value()) metrics.emplace_back("gradient_norm", *last_norm_);
  metrics.emplace_back("lr-AdamW", *last_learning_rate_);
  metrics.emplace_back("epoch", static_cast<double>(pending.samples_consumed /
                                                    static_cast<int64_t>(parts_.run.data->samples_per_epoch())));
  metrics.emplace_back("val_step", static_cast<double>(pending.step));
  metrics.emplace_back("samples_per_second", *status.samples_per_second);
  metrics.emplace_back("data_wait", *status.data_wait);
  parts_.logger->Row(pending.step, Split::kTrain, metrics);
  parts_.logger->IntervalLine(status);
}

bool Trainer::ValidationDue() const {
  const Validation& validation = config_.validation();
  const auto done = state_.counters().find(kValidatedStep);
  if (done != state_.counters().end() && done->second == Step()) return false;
  if (parts_.run.data->validation_samples() == 0 ||
      (validation.interval_epochs() == 0 && !validation.has_interval_steps())) {
    return false;
  }
  if (Step() == 0) return validation.at_start();
  if (AtEnd()) return true;
  if (validation.has_interval_steps()) return Step() % validation.interval_steps() == 0;
  // The step in which an epoch ends, for every so many epochs.
  const uint64_t period = parts_.run.data->samples_per_epoch() * static_cast<uint64_t>(validation.interval_epochs());
  const uint64_t consumed = static_cast<uint64_t>(state_.samples_consumed());
  return consumed / period != (consumed - static_cast<uint64_t>(parts_.run.shape.global())) / period;
}

absl::Status Trainer::Validate() {
  RECORD_USER_SCOPE("validation");
  FlushPending();
  ASSIGN_OR_RETURN(const ValidationResult result,
                   RunValidation(*parts_.run.task, *parts_.run.data, parts_.communicator,
                                 optimizer_.gradient().device(), Step(), parts_.stop_requested, parts_.observer));
  stop_ = stop_ || result.stop;
  if (result.interrupted) return absl::OkStatus();  // the next start validates this step again
  RETURN_IF_ERROR(account_.AddBadSamples(Split::kValidation, Step(), result.samples_bad, result.bad));
  (*state_.mutable_counters())[kValidatedStep] = Step();
  if (parts_.logger == nullptr) return absl::OkStatus();
  if (result.first_batch != nullptr) {
    const at::NoGradGuard no_gradients;
    RETURN_IF_ERROR(DrawPicture(*result.first_batch, "validation", "img/sample_val"));
  }
  Metrics metrics = MetricsOf(Split::kValidation, result.metric_names, result.metric_sums);
  if (const std::optional<double> loss = Find(metrics, kValidationLoss)) {
    auto& best = *state_.mutable_best_metrics();
    // The first that is finite, and then what is below it.
    if (std::isfinite(*loss) && (best.count(kValidationLoss) == 0 || *loss < best.at(kValidationLoss))) {
      best[kValidationLoss] = *loss;
      (*state_.mutable_best_steps())[kValidationLoss] = Step();
    }
    if (best.count(kValidationLoss) > 0) metrics.emplace_back("best/val_loss", best.at(kValidationLoss));
  }
  metrics.emplace_back("val_step", static_cast<double>(Step()));
  parts_.logger->Row(Step(), Split::kValidation, metrics);
  std::string line = absl::StrCat("validation at step ", Step(), ":");
  for (const char* name : {"val_loss", "val_metric/iou-0", "val_metric/miou"}) {
    if (const std::optional<double> value = Find(metrics, name)) {
      absl::StrAppend(&line, "  ", name, " ", absl::StrFormat("%.4g", *value));
    }
  }
  if (result.metric_names.empty()) absl::StrAppend(&line, "  no sample could be used");
  parts_.logger->Message(line);
  return absl::OkStatus();
}

absl::Status Trainer::DrawPicture(const TaskBatch& batch, const std::string& name, const std::string& tag) {
  ASSIGN_OR_RETURN(const HostTensor picture, parts_.run.task->Picture(batch, Step()));
  parts_.logger->Picture(Step(), name, tag, picture);
  return absl::OkStatus();
}

// Clocks differ from rank to rank: the first one's counts.
bool Trainer::WishToSave() const {
  const double minutes = config_.checkpoints().interval_minutes();
  return IsFirstRank() && minutes > 0 && SecondsSince(saved_at_) > 60 * minutes;
}

bool Trainer::PlannedSaveDue() const {
  const int64_t interval = config_.checkpoints().interval_steps();
  return interval > 0 && Step() % interval == 0;
}

int64_t Trainer::RollbackBase() const {
  const auto base = state_.counters().find(kRollbackBase);
  return base == state_.counters().end() ? saved_step_ : base->second;
}

// Of the checkpoint that follows that of saved_step_.
SavedCheckpoint Trainer::DescribeSaved(const std::string& folder) const {
  SavedCheckpoint saved;
  saved.step = Step();
  saved.folder = folder;
  saved.is_final = AtEnd();
  nlohmann::ordered_json metadata = {
      {"step", Step()}, {"config_hash", parts_.experiment.Hash()}, {"program_version", parts_.program_version}};
  if (const auto best = state_.best_steps().find(kValidationLoss); best != state_.best_steps().end()) {
    saved.is_best = best->second > saved_step_;
    metadata["best_val_loss"] = state_.best_metrics().at(kValidationLoss);
    metadata["best_val_loss_step"] = best->second;
  }
  saved.metadata = metadata.dump();
  return saved;
}

absl::Status Trainer::Save(Saving saving) {
  RECORD_USER_SCOPE("save");
  FlushPending();
  saved_at_ = std::chrono::steady_clock::now();
  if (parts_.logger != nullptr) parts_.logger->Sync();

  const HostOptimizerState host = CopyForSaving(optimizer_, parts_.communicator.rank());
  const checkpoint::TrainingState before = state_;
  // Stops and clocks save at any step. A rollback that depended on them would not be the same in a run that is
  // interrupted.
  if (saving == Saving::kPlanned || saving == Saving::kNeeded) (*state_.mutable_counters())[kRollbackBase] = Step();
  KeepBases();
  CheckpointContents contents;
  contents.groups = host.groups;
  contents.state = state_;
  contents.state.set_elapsed_seconds(state_.elapsed_seconds() + SecondsSince(started_));
  contents.config_text = parts_.experiment.CanonicalText();
  contents.config_hash = parts_.experiment.Hash();
  contents.program_version = parts_.program_version;
  const absl::StatusOr<SaveReport> report =
      SaveByRanks(parts_.communicator, IsFirstRank() ? &parts_.store : nullptr, SystemFileOps(), contents);
  if (!report.ok()) {
    state_ = before;
    KeepBases();
    const bool go_on = saving != Saving::kLast && saving != Saving::kNeeded &&
                       ExitCodeOf(report.status()) == ExitCode::kStorage &&
                       config_.checkpoints().on_failure() == Checkpoints::CONTINUE;
    if (!go_on) return report.status();
    if (parts_.logger != nullptr) {
      parts_.logger->Message(absl::StrCat("warning: step ", Step(),
                                          " is not saved, the run goes on: ", std::string(report.status().message())));
    }
    return absl::OkStatus();
  }
  if (parts_.logger != nullptr) parts_.logger->Saved(DescribeSaved(report->folder));
  saved_step_ = Step();
  origin_ = {Step(), state_.samples_consumed()};
  if (parts_.observer != nullptr) parts_.observer->Saved(Step());
  if (parts_.logger != nullptr && !report->removal.ok()) {
    parts_.logger->Message(absl::StrCat("warning: old checkpoints stay: ", std::string(report->removal.message())));
  }
  return absl::OkStatus();
}

}  // namespace cubist
