#include "tools/training/rehearsal/rehearsal.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/count_of.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/tasks/built_models.h"
#include "tools/tasks/task.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/run_folder.h"
#include "tools/training/loop/catch_exceptions.h"
#include "tools/training/loop/optimizer_state.h"
#include "tools/training/loop/run_parts.h"
#include "tools/training/loop/run_start.h"
#include "tools/training/rehearsal/disk_estimate.h"
#include "tools/training/rehearsal/frame_trial.h"
#include "tools/training/rehearsal/memory_use.h"
#include "tools/training/rehearsal/report_table.h"
#include "tools/training/rehearsal/run_estimate.h"
#include "tools/training/rehearsal/trial_checkpoint.h"
#include "tools/training/rehearsal/trial_steps.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMeasuredSteps = 3;
constexpr double kMeasuredSeconds = 10;
// Beyond this part of the machine's memory a run is likely to be killed one day.
constexpr double kRoomInMemory = 0.9;
// See rehearsal.h.
constexpr size_t kChecks = 9;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

absl::Status Stopped() { return PreemptedError("asked to stop; nothing was changed, and nothing stays"); }

class Rehearsal {
 public:
  Rehearsal(const ValidatedExperiment& experiment, const RunOptions& run, const RehearsalOptions& options,
            Communicator& communicator)
      : experiment_(experiment),
        config_(experiment.proto()),
        run_(run),
        options_(options),
        communicator_(communicator),
        is_first_rank_(communicator.rank() == 0),
        failed_(options.failed_before),
        first_failure_(failed_.empty() ? absl::OkStatus() : DataError("the front has said it")) {}

  absl::Status DryRun();
  absl::Status Preflight();

 private:
  absl::Status TryFramesOfSome(const ClipIndex& clips) const;
  absl::Status TryData();
  absl::Status MakeParts();
  std::string DescribeModel() const;
  std::string DescribeBatch() const;
  std::string DescribeBad(const std::vector<BadSample>& bad) const;
  absl::StatusOr<DiskEstimate> Disk(uint64_t checkpoint_bytes) const;
  // The row of `peak` bytes a rank.
  absl::Status ReportMemory(uint64_t peak);
  void ReportGpuMemory() const;
  int64_t SamplesPerEpoch() const;

  // Whether some rank was asked to stop. All ranks call it.
  absl::StatusOr<bool> AgreedToStop();
  absl::StatusOr<std::string> TryRanks();
  absl::StatusOr<std::string> MeasureSteps();
  absl::StatusOr<std::string> TryValidation();
  absl::StatusOr<std::string> ValidateABatch();
  absl::Status TryMemory();
  absl::StatusOr<std::string> TryToSave();
  absl::StatusOr<std::string> CheckDisk() const;
  std::string EstimateTime() const;
  void ReportTime() const;
  absl::Status Summary() const;

  void Row(Verdict verdict, std::string_view name, std::string_view text) const;
  // Prints a check's line and keeps its failure. An error: the rehearsal is over.
  absl::Status Report(std::string_view name, const absl::StatusOr<std::string>& result);
  // The same for a check that the ranks make together: when it fails they part.
  absl::Status ReportTogether(std::string_view name, const absl::StatusOr<std::string>& result);

  const ValidatedExperiment& experiment_;
  const Experiment& config_;
  const RunOptions& run_;
  const RehearsalOptions& options_;
  Communicator& communicator_;
  const bool is_first_rank_;
  bool together_ = true;  // the ranks still answer one another

  RunParts parts_;
  RunStart start_;
  int64_t checkpoints_there_ = 0;
  RunCosts costs_;
  bool costs_known_ = false;
  uint64_t checkpoint_bytes_ = 0;
  std::vector<std::string> failed_;  // checks
  absl::Status first_failure_;
};

void Rehearsal::Row(Verdict verdict, std::string_view name, std::string_view text) const {
  if (!is_first_rank_) return;
  std::fputs(FormatRow(verdict, name, text).c_str(), stdout);
  std::fflush(stdout);
}

// What both kinds need: data, model and optimizer, in the state in which the run would start.
absl::Status Rehearsal::MakeParts() {
  RETURN_IF_ERROR(NearestFolder(run_.run_directory).status());
  ASSIGN_OR_RETURN(const BatchShape shape, MakeBatchShape(config_.batch(), communicator_.rank(), options_.world_size));
  ASSIGN_OR_RETURN(parts_, MakeRunParts(experiment_, run_.device, run_.local_world_size, shape));
  // The run's own checkpoint is taken as one from elsewhere, so that its store is only looked at.
  const CheckpointStore own(SystemFileOps(), RunFolder(run_.run_directory).checkpoints_path());
  ASSIGN_OR_RETURN(const std::vector<int64_t> steps, own.List());
  checkpoints_there_ = static_cast<int64_t>(steps.size());
  ASSIGN_OR_RETURN(const std::optional<LoadReport> latest, own.LoadLatest(run_.start.allow_fallback));
  StartOptions start = run_.start;
  if (latest.has_value()) {
    start.init_from.clear();
    start.resume_from = latest->checkpoint.folder();
  }
  CheckpointStore none(SystemFileOps(), run_.run_directory + "/no checkpoints");
  ASSIGN_OR_RETURN(start_, StartRun(experiment_, start, none, parts_));
  return absl::OkStatus();
}

std::string Rehearsal::DescribeModel() const {
  std::string text = absl::StrCat(parts_.optimizer->parameter_count(), " parameters in ",
                                  Precision_Name(config_.training().precision()), " on the ", run_.device);
  if (start_.state.step() == 0 && start_.lines.empty()) absl::StrAppend(&text, "; a new run");
  for (const std::string& line : start_.lines) absl::StrAppend(&text, "\n", line);
  return text;
}

// Of the run: where its data was not made yet, of as many clips as it would make.
int64_t Rehearsal::SamplesPerEpoch() const {
  const auto samples = static_cast<int64_t>(parts_.data->samples_per_epoch());
  if (!options_.data_is_made_up) return samples;
  const auto clips_here = static_cast<int64_t>(parts_.data->clips().train_clips().size());
  const int64_t clips = config_.data().synthesize().clips();
  const double fraction = config_.data().validation_fraction();
  const int64_t held_out = fraction > 0 ? std::max<int64_t>(1, std::llround(static_cast<double>(clips) * fraction)) : 0;
  return samples / clips_here * std::max<int64_t>(1, clips - held_out);
}

std::string Rehearsal::DescribeBatch() const {
  const BatchShape& shape = parts_.shape;
  const ClipIndex& clips = parts_.data->clips();
  return absl::StrFormat(
      "%s a step (%d at once%s%s); %s%.1f steps an epoch of %s\n"
      "%s to train on, %d to validate on%s",
      CountOf(shape.global(), "sample"), shape.per_gpu,
      shape.accumulate > 1 ? absl::StrCat(", ", shape.accumulate, " times") : "",
      shape.world_size > 1 ? absl::StrCat(", on ", shape.world_size, " ranks") : "",
      options_.data_is_made_up ? "about " : "",
      static_cast<double>(SamplesPerEpoch()) / static_cast<double>(shape.global()),
      CountOf(SamplesPerEpoch(), "sample"), CountOf(clips.train_clips().size(), "clip"),
      clips.validation_clips().size(),
      options_.data_is_made_up
          ? absl::StrCat(" here, made for this; the run would make ", config_.data().synthesize().clips())
          : "");
}

std::string Rehearsal::DescribeBad(const std::vector<BadSample>& bad) const {
  if (bad.empty()) return "";
  return absl::StrCat("\n", CountOf(bad.size(), "sample"), bad.size() == 1 ? " was" : " were",
                      " left out, as data.bad_samples.policy is SKIP: ", std::string(bad[0].reason.message()));
}

absl::StatusOr<DiskEstimate> Rehearsal::Disk(uint64_t checkpoint_bytes) const {
  return EstimateDisk(config_.checkpoints(),
                      config_.training().has_max_steps() ? std::optional(config_.training().max_steps()) : std::nullopt,
                      checkpoint_bytes, checkpoints_there_, run_.run_directory);
}

absl::Status Rehearsal::ReportMemory(uint64_t peak) {
  ASSIGN_OR_RETURN(const MemoryUse use, ReadMemoryUse());
  const uint64_t all = peak * static_cast<uint64_t>(run_.local_world_size);
  std::string text = absl::StrCat("peak ", FormatBytes(peak), " a rank");
  if (run_.local_world_size > 1) {
    absl::StrAppend(&text, ", ", FormatBytes(all), " for the ", run_.local_world_size, " ranks here");
  }
  absl::StrAppend(&text, "; this machine has ", FormatBytes(use.total), ", ", FormatBytes(use.available),
                  " of them free at the moment");
  const bool fits = static_cast<double>(all) < kRoomInMemory * static_cast<double>(use.total);
  if (!fits) {
    absl::StrAppend(&text,
                    "\nthat is too much for this machine: fewer ranks (--gpus), a smaller batch.per_gpu, or "
                    "fewer data.prefetch_batches");
  }
  Row(fits ? (options_.preflight ? Verdict::kOk : Verdict::kNone) : Verdict::kWarning, "memory", text);
  ReportGpuMemory();
  return absl::OkStatus();
}

void Rehearsal::ReportGpuMemory() const {
  if (run_.device != "cuda") return;
  size_t available = 0, total = 0;
  if (cudaMemGetInfo(&available, &total) != cudaSuccess) return;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(c10::cuda::current_device());
  Row(options_.preflight ? Verdict::kOk : Verdict::kNone, "GPU memory",
      absl::StrCat("peak ", FormatBytes(static_cast<uint64_t>(stats.reserved_bytes[0].peak)), " of ",
                   FormatBytes(total), "; a batch that the decoder fills with more voxels takes more"));
}

// ---- The dry run ----

// The frames row of a dry run.
absl::Status Rehearsal::TryFramesOfSome(const ClipIndex& clips) const {
  ASSIGN_OR_RETURN(const CheckOutcome frames,
                   TryFrames(clips, config_, config_.data().loader_threads(), run_.stop_requested, kMostClipsOfDryRun));
  Row(frames.verdict == Verdict::kOk ? Verdict::kNone : frames.verdict, "frames", frames.text);
  return absl::OkStatus();
}

// For a model that this version does not train: what its data is.
absl::Status Rehearsal::TryData() {
  ASSIGN_OR_RETURN(const BatchShape shape, MakeBatchShape(config_.batch(), communicator_.rank(), options_.world_size));
  ASSIGN_OR_RETURN(const std::unique_ptr<BatchMaker> batch_maker, MakeBatchMaker(experiment_, at::kFloat, at::kCPU));
  ASSIGN_OR_RETURN(const std::unique_ptr<RunData> data, RunData::Open(config_, *batch_maker, shape));
  for (const std::string& warning : data->clips().warnings()) Row(Verdict::kWarning, "data", warning);
  RETURN_IF_ERROR(TryFramesOfSome(data->clips()));
  const auto show = [this](std::string_view name, BatchSource& source) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<MicroBatch> batch, source.Next(run_.stop_requested));
    if (!batch.has_value()) return Stopped();
    Row(Verdict::kNone, name,
        (batch->batch == nullptr ? "no sample" : batch->batch->Describe()) + DescribeBad(batch->bad));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(show("training batch", *data->Training(/*samples_consumed=*/0)));
  if (data->validation_batches() > 0) RETURN_IF_ERROR(show("validation batch", *data->Validation()));
  return absl::OkStatus();
}

absl::Status Rehearsal::DryRun() {
  if (const absl::Status built = CheckModelIsBuilt(config_); !built.ok()) {
    RETURN_IF_ERROR(TryData());
    return ConfigError(
        absl::StrCat("config and data have no mistake, but ", std::string(built.message()), " (exit code 2)"));
  }
  RETURN_IF_ERROR(MakeParts());
  for (const std::string& warning : parts_.data->clips().warnings()) Row(Verdict::kWarning, "data", warning);
  RETURN_IF_ERROR(TryFramesOfSome(parts_.data->clips()));
  TrialSteps steps(parts_, communicator_, start_.state.step(), start_.state.samples_consumed(), run_.stop_requested);
  ASSIGN_OR_RETURN(const TrialStep step, steps.Take());
  // Saving copies everything to the host: part of the peak.
  const uint64_t checkpoint_bytes = TensorBytes(CopyOptimizer(*parts_.optimizer, parts_.optimizer->Groups()).groups);
  ASSIGN_OR_RETURN(const MemoryUse use, ReadMemoryUse());
  ASSIGN_OR_RETURN(const DiskEstimate disk, Disk(checkpoint_bytes));
  if (run_.stop_requested()) return Stopped();

  Row(Verdict::kNone, "model", DescribeModel());
  Row(Verdict::kNone, "batch", DescribeBatch());
  std::string text = absl::StrFormat(
      "loss %.4g, gradient norm %.4g; %s, %s of it waiting for data (a first step; later ones are faster)", step.loss,
      step.gradient_norm, FormatSeconds(step.seconds), FormatSeconds(step.data_seconds));
  if (parts_.shape.world_size > 1) {
    absl::StrAppend(&text, "\ntaken by one process with its share of the batch: ", parts_.shape.of_rank(), " of ",
                    parts_.shape.global(), " samples");
  }
  Row(Verdict::kNone, "step", text + DescribeBad(step.bad));
  RETURN_IF_ERROR(ReportMemory(use.peak_resident));
  Row(Verdict::kNone, "checkpoints", Describe(disk));
  if (!disk.fits()) Row(Verdict::kWarning, "checkpoints", WayOutOfFullDisk(disk, config_.checkpoints()));
  return absl::OkStatus();
}

// ---- The preflight ----

absl::Status Rehearsal::Report(std::string_view name, const absl::StatusOr<std::string>& result) {
  if (!result.ok() && ExitCodeOf(result.status()) == ExitCode::kPreempted) return result.status();
  if (result.ok()) {
    Row(Verdict::kOk, name, *result);
    return absl::OkStatus();
  }
  Row(Verdict::kFailed, name, std::string(result.status().message()));
  failed_.emplace_back(name);
  if (first_failure_.ok()) first_failure_ = result.status();
  return is_first_rank_ ? absl::OkStatus() : result.status();
}

absl::Status Rehearsal::ReportTogether(std::string_view name, const absl::StatusOr<std::string>& result) {
  RETURN_IF_ERROR(Report(name, result));
  if (!result.ok() && together_) {
    together_ = false;
    communicator_.Abort(std::string(result.status().message()));
  }
  return absl::OkStatus();
}

// With the exit code of the first failure, whose line has said the rest.
absl::Status Rehearsal::Summary() const {
  if (failed_.empty()) {
    if (is_first_rank_) std::printf("preflight: none of %zu checks failed\n", kChecks);
    return absl::OkStatus();
  }
  return WithMessage(first_failure_, absl::StrCat("preflight: ", failed_.size(), " of ", kChecks,
                                                  " checks failed: ", absl::StrJoin(failed_, ", ")));
}

absl::StatusOr<bool> Rehearsal::AgreedToStop() {
  if (!together_) return run_.stop_requested();
  const at::Tensor wish = at::full({1}, run_.stop_requested() ? 1 : 0, at::kLong);
  RETURN_IF_ERROR(communicator_.AllReduceMax(wish));
  return wish.item<int64_t>() != 0;
}

absl::StatusOr<std::string> Rehearsal::TryRanks() {
  const int64_t size = communicator_.world_size();
  if (!options_.data_is_made_up) {
    RETURN_IF_ERROR(AgreeOnRun(communicator_, experiment_, parts_, run_.program_version));
  }
  const at::Tensor ranks = at::full({1}, communicator_.rank() + 1, at::kLong);
  RETURN_IF_ERROR(communicator_.AllReduceSum(ranks));
  if (ranks.item<int64_t>() != size * (size + 1) / 2) {
    return PeerLostError(absl::StrCat("the sum over ", size, " ranks is ", ranks.item<int64_t>(), ", not ",
                                      size * (size + 1) / 2, ": some rank took part twice or not at all"));
  }
  if (size == 1) return std::string("1 of 1: there is no other to reach");
  const at::Tensor gradient = at::zeros_like(parts_.optimizer->gradient());
  RETURN_IF_ERROR(communicator_.AllReduceSum(gradient));  // connections are made by the first one
  const auto begin = Clock::now();
  RETURN_IF_ERROR(communicator_.AllReduceSum(gradient));
  return absl::StrCat(size, " of ", options_.world_size, " met; summing a gradient of ",
                      FormatBytes(gradient.numel() * gradient.element_size()), " over them takes ",
                      FormatSeconds(SecondsSince(begin)));
}

absl::StatusOr<std::string> Rehearsal::MeasureSteps() {
  TrialSteps steps(parts_, communicator_, start_.state.step(), start_.state.samples_consumed(), run_.stop_requested);
  ASSIGN_OR_RETURN(TrialStep step, steps.Take());
  std::vector<BadSample> bad = std::move(step.bad);
  const double warm_up = step.seconds, first_loss = step.loss;
  // The first steps find batches that were made meanwhile: with those alone no wait would show.
  const int64_t wanted = kMeasuredSteps + static_cast<int64_t>(parts_.data->Capacity()) / parts_.shape.accumulate;
  int64_t count = 0;
  double seconds = 0, waited = 0;
  for (bool enough = false; !enough;) {
    ASSIGN_OR_RETURN(step, steps.Take());
    ++count;
    seconds += step.seconds;
    waited += step.data_seconds;
    bad.insert(bad.end(), step.bad.begin(), step.bad.end());
    const at::Tensor done = at::full({1}, count >= wanted || seconds >= kMeasuredSeconds ? 1 : 0, at::kLong);
    RETURN_IF_ERROR(communicator_.Broadcast(done, 0));  // clocks differ
    enough = done.item<int64_t>() != 0;
  }
  costs_.step_seconds = seconds / static_cast<double>(count);
  costs_known_ = true;
  return absl::StrFormat(
             "%s a step, %.0f%% of it waiting for data: %.3g samples/s (%d steps after a first one of %s); "
             "loss %.4g, then %.4g",
             FormatSeconds(costs_.step_seconds), 100 * waited / seconds,
             static_cast<double>(parts_.shape.global()) / costs_.step_seconds, count, FormatSeconds(warm_up),
             first_loss, step.loss) +
         DescribeBad(bad);
}

absl::StatusOr<std::string> Rehearsal::TryValidation() {
  absl::StatusOr<std::string> text = ValidateABatch();
  // A rank that was stopped while it waited for data stops with the others.
  if (!text.ok() && ExitCodeOf(text.status()) != ExitCode::kPreempted) return text;
  ASSIGN_OR_RETURN(const bool stop, AgreedToStop());
  if (stop) return Stopped();
  return text;
}

// Of this rank; rank 0 also draws its picture.
absl::StatusOr<std::string> Rehearsal::ValidateABatch() {
  const RunData& data = *parts_.data;
  if (data.validation_samples() == 0) return std::string("no clip to validate on");
  if (data.validation_batches() == 0) return std::string("no sample for this rank");
  const at::NoGradGuard no_gradients;
  auto begin = Clock::now();
  const std::unique_ptr<BatchSource> batches = data.Validation();
  std::optional<MicroBatch> micro_batch;
  std::vector<BadSample> bad;
  for (int64_t i = 0; i < data.validation_batches(); ++i) {
    ASSIGN_OR_RETURN(micro_batch, batches->Next(run_.stop_requested));
    if (!micro_batch.has_value()) return Stopped();
    bad.insert(bad.end(), micro_batch->bad.begin(), micro_batch->bad.end());
    if (micro_batch->batch != nullptr) break;
  }
  if (micro_batch->batch == nullptr) return bad[0].reason;
  const int64_t step = start_.state.step();
  ASSIGN_OR_RETURN(const Evaluation evaluation, parts_.task->Evaluate(*micro_batch->batch, step, /*training=*/false));
  const double loss = evaluation.loss.item<double>() / static_cast<double>(micro_batch->batch->size);
  const double seconds = SecondsSince(begin);
  if (!std::isfinite(loss)) return NotFiniteError(absl::StrCat("the loss of a validation batch is ", loss));
  begin = Clock::now();
  if (is_first_rank_) RETURN_IF_ERROR(parts_.task->Picture(*micro_batch->batch, step).status());
  costs_.validation_seconds = seconds * static_cast<double>(data.validation_batches()) + SecondsSince(begin);
  return absl::StrFormat("one batch of %d: loss %.4g, in %s; a validation has %d of them on a rank",
                         micro_batch->batch->size, loss, FormatSeconds(seconds), data.validation_batches()) +
         DescribeBad(bad);
}

absl::Status Rehearsal::TryMemory() {
  if (!costs_known_) {
    Row(Verdict::kSkipped, "memory", "it is that of steps, which could not be taken");
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const MemoryUse use, ReadMemoryUse());
  const at::Tensor peak = at::full({1}, static_cast<int64_t>(use.peak_resident), at::kLong);
  if (together_) RETURN_IF_ERROR(communicator_.AllReduceMax(peak));
  return ReportMemory(static_cast<uint64_t>(peak.item<int64_t>()));
}

absl::StatusOr<std::string> Rehearsal::TryToSave() {
  CheckpointContents contents;
  const HostOptimizerState host = CopyForSaving(*parts_.optimizer, communicator_.rank());
  contents.groups = host.groups;
  contents.state = start_.state;
  contents.config_text = experiment_.CanonicalText();
  contents.config_hash = experiment_.Hash();
  contents.program_version = run_.program_version;
  checkpoint_bytes_ = TensorBytes(contents.groups);
  const std::unique_ptr<Communicator> alone = MakeSingleProcessCommunicator();
  const absl::StatusOr<CheckpointTrial> trial =
      TryCheckpoint(together_ ? communicator_ : *alone, SystemFileOps(), contents, options_.trial_folder);
  if (!trial.ok()) {
    return NamingFinalPath(trial.status(), options_.trial_folder, RunFolder(run_.run_directory).checkpoints_path());
  }
  checkpoint_bytes_ = trial->bytes;
  costs_.save_seconds = trial->write_seconds;
  return absl::StrCat(FormatBytes(trial->bytes), " written in ", FormatSeconds(trial->write_seconds), ", read back in ",
                      FormatSeconds(trial->read_seconds), ": the same, bit for bit");
}

absl::StatusOr<std::string> Rehearsal::CheckDisk() const {
  ASSIGN_OR_RETURN(const DiskEstimate disk, Disk(checkpoint_bytes_));
  if (disk.fits()) return "checkpoints of " + Describe(disk);
  return StorageError(
      absl::StrCat("checkpoints of ", Describe(disk), "\n", WayOutOfFullDisk(disk, config_.checkpoints())));
}

std::string Rehearsal::EstimateTime() const {
  RunShape shape;
  shape.first_step = start_.state.step();
  shape.samples_per_step = parts_.shape.global();
  shape.samples_per_epoch = SamplesPerEpoch();
  shape.validates = parts_.data->validation_samples() > 0;
  const std::string each =
      absl::StrFormat("a step %s, a validation %s, a save %s", FormatSeconds(costs_.step_seconds),
                      FormatSeconds(costs_.validation_seconds), FormatSeconds(costs_.save_seconds));
  if (!config_.training().has_max_steps()) {
    return absl::StrFormat("%s; training.max_steps is not set: 1000 steps take about %.2g h", each,
                           costs_.step_seconds * 1000 / 3600);
  }
  const RunEstimate estimate = EstimateRun(config_, shape, costs_);
  return absl::StrFormat("about %.2g h (%s) to the end at training.max_steps %d: %s, %s, %s (%s)",
                         estimate.seconds / 3600, FormatSeconds(estimate.seconds), config_.training().max_steps(),
                         CountOf(static_cast<uint64_t>(estimate.steps), "step"),
                         CountOf(static_cast<uint64_t>(estimate.validations), "validation"),
                         CountOf(static_cast<uint64_t>(estimate.saves), "save"), each);
}

// An estimate without one of its parts would mislead.
void Rehearsal::ReportTime() const {
  std::vector<std::string> unknown;
  for (const char* part : {"steps", "validation", "checkpoint"}) {
    const bool measured = std::string_view(part) != "steps" || costs_known_;
    if (!measured || std::count(failed_.begin(), failed_.end(), part) > 0) unknown.push_back(part);
  }
  if (unknown.empty()) {
    Row(Verdict::kOk, "time", EstimateTime());
  } else {
    Row(Verdict::kSkipped, "time", absl::StrCat("nothing was measured of: ", absl::StrJoin(unknown, ", ")));
  }
}

absl::Status Rehearsal::Preflight() {
  const absl::Status made = MakeParts();
  if (made.ok()) {
    RETURN_IF_ERROR(Report("model", absl::StrCat(DescribeModel(), "\n", DescribeBatch())));
  } else {
    RETURN_IF_ERROR(ReportTogether("model", made));
    Row(Verdict::kSkipped, "the others", "ranks, steps, validation, memory, checkpoint, disk: they need the model");
    return Summary();
  }
  for (const std::string& warning : parts_.data->clips().warnings()) Row(Verdict::kWarning, "data", warning);

  RETURN_IF_ERROR(ReportTogether("ranks", TryRanks()));
  if (together_) {
    RETURN_IF_ERROR(ReportTogether("steps", MeasureSteps()));
  } else {
    Row(Verdict::kSkipped, "steps", "they need all ranks");
  }
  RETURN_IF_ERROR(ReportTogether("validation", TryValidation()));
  RETURN_IF_ERROR(TryMemory());
  RETURN_IF_ERROR(ReportTogether("checkpoint", TryToSave()));
  if (!is_first_rank_) return absl::OkStatus();

  RETURN_IF_ERROR(Report("disk", CheckDisk()));
  ReportTime();
  return Summary();
}

}  // namespace

absl::Status RehearseRun(const ValidatedExperiment& experiment, const RunOptions& run, const RehearsalOptions& options,
                         Communicator& communicator) {
  return CatchExceptions([&] {
    Rehearsal rehearsal(experiment, run, options, communicator);
    return options.preflight ? rehearsal.Preflight() : rehearsal.DryRun();
  });
}

}  // namespace cubist
